/**
 * Maps that are defined by the BTF of their variable in `.maps`: `__uint(type, …)`, `__type(key, …)`, `__array(values, …)`
 * (libbpf's bpf_helpers.h), `__allocator(elem_allocator)` (bpf/include/sluice/mem.h). Numbers are array lengths behind a pointer, or an enumerator (`__ulong`).
 */
import { type MapTypeName, mapTypeName } from '../abi/map-types.ts';
import type { Btf, BtfMember } from '../btf/types.ts';
import type { InputError } from '../errors.ts';
import type { CodeSection } from './code.ts';
import { type Elf, type ElfSection, R_BPF } from './elf.ts';
import type { AllocatorPart, MapAllocator, MapSpec } from './spec.ts';

const SECTION = '.maps';
const POINTER_SIZE = 8;
const LIBBPF_PIN_BY_NAME = 1n;

/** There are eleven. */
const MAX_ATTRIBUTES = 16;

interface Definition {
  readonly spec: MapSpec;
  /** Byte offset of the variable in the section, and of its `values` member in the variable. */
  readonly offset: number;
  readonly values: number | undefined;
  /** Byte offsets of its allocators in the section. */
  readonly parts: ReadonlyMap<number, AllocatorPart>;
}

/** A map definition as it was read; `offset` and the keys of `parts` are offsets in the section. */
export type PlacedMap = Pick<Definition, 'spec' | 'offset' | 'parts'>;

const partOf: Readonly<Record<string, AllocatorPart>> = { elem_allocator: 'elem', kptr_allocator: 'kptr' };

/** In order of their place in the section. Throws InputError `SLUICE_MAP_DEFINITION` that names the map. */
export function readBtfMaps(
  elf: Elf,
  btf: Btf | undefined,
  code: ReadonlyMap<number, CodeSection>,
): readonly PlacedMap[] {
  const section = elf.section(SECTION);
  if (section === undefined) return [];
  if (btf === undefined)
    throw fault(elf, 'maps are defined by BTF, and the object has none (compile with -g)', section);
  const id = btf.find(SECTION, 'datasec');
  const datasec = id === undefined ? undefined : btf.type(id);
  if (datasec?.kind !== 'datasec') throw fault(elf, 'the BTF does not describe this section', section);

  const definitions = datasec.vars.map((entry): Definition => {
    const variable = btf.type(entry.type);
    if (variable?.kind !== 'var') throw fault(elf, `type ${entry.type} is no variable`, section);
    if (variable.linkage === 'extern')
      throw fault(elf, `map ${variable.name} is only declared (extern); link the objects first`, section);
    const { parts, ...read } = readDefinition(elf, btf, section, variable.name, variable.type, entry.offset, false);
    const placed = new Map([...parts].map(([at, part]) => [entry.offset + at, part]));
    return { ...read, offset: entry.offset, parts: placed };
  });
  return withContents(elf, section, definitions, code);
}

function readDefinition(
  elf: Elf,
  btf: Btf,
  section: ElfSection,
  name: string,
  typeId: number,
  offset: number,
  isInner: boolean,
): Omit<Definition, 'offset'> {
  const bad = (why: string): InputError => fault(elf, `map ${name}: ${why}`, section, offset);
  const { type: struct } = btf.resolve(typeId);
  if (struct?.kind !== 'struct') throw bad('its type is no struct');
  if (struct.members.length > MAX_ATTRIBUTES) throw bad(`${struct.members.length} attributes`);
  let type: MapTypeName | undefined;
  let keySize: number | undefined;
  let valueSize: number | undefined;
  let keyTypeId = 0;
  let valueTypeId = 0;
  let inner: MapSpec | undefined;
  let values: { readonly offset: number; readonly isProgram: boolean } | undefined;
  const allocators: Partial<Record<AllocatorPart, MapAllocator>> = {};
  const parts = new Map<number, AllocatorPart>();
  const numbers = { max_entries: 0, map_flags: 0, numa_node: 0, pinning: 0 };
  let mapExtra = 0n;

  const size = (member: BtfMember, have: number | undefined, is: number): number => {
    if (have !== undefined && have !== is) throw bad(`${member.name} says ${is} bytes, but ${have} were said before`);
    return is;
  };
  for (const member of struct.members) {
    const number = () => definedNumber(btf, member, bad);
    const small = () => {
      const value = number();
      if (value > 0xffff_ffffn) throw bad(`${member.name} ${value} does not fit 32 bits`);
      return Number(value);
    };
    switch (member.name) {
      case 'type':
        type = mapTypeName(small());
        if (type === undefined) throw bad(`map type ${small()} is not known`);
        break;
      case 'max_entries':
      case 'map_flags':
      case 'numa_node':
      case 'pinning':
        numbers[member.name] = small();
        break;
      case 'map_extra':
        mapExtra = number();
        break;
      case 'key_size':
        keySize = size(member, keySize, small());
        break;
      case 'value_size':
        valueSize = size(member, valueSize, small());
        break;
      case 'key':
        keyTypeId = pointee(btf, member, bad);
        keySize = size(member, keySize, btf.sizeOf(keyTypeId));
        break;
      case 'value':
        valueTypeId = pointee(btf, member, bad);
        valueSize = size(member, valueSize, btf.sizeOf(valueTypeId));
        break;
      case 'values': {
        if (isInner) throw bad('an inner map has values of its own');
        const target = valuesTarget(btf, member, bad);
        valueSize = size(member, valueSize, 4);
        values = { offset: member.bitOffset / 8, isProgram: target.isProgram };
        if (!target.isProgram)
          inner = readDefinition(elf, btf, section, `${name}.inner`, target.typeId, offset, true).spec;
        break;
      }
      case 'elem_allocator':
      case 'kptr_allocator': {
        const part = partOf[member.name]!;
        const target = valuesTarget(btf, member, bad);
        const { spec } = readDefinition(elf, btf, section, `${name}.${member.name}`, target.typeId, offset, true);
        if (spec.type !== 'allocator') throw bad(`${member.name} is a map of type ${spec.type}, not an allocator`);
        allocators[part] = { kind: 'implicit', definition: spec };
        parts.set(member.bitOffset / 8, part);
        break;
      }
      default:
        throw bad(`attribute ${member.name} is not known`);
    }
  }
  if (type === undefined) throw bad('it has no type');
  if (values !== undefined && values.isProgram !== (type === 'prog_array'))
    throw bad(`values of a ${type} map are not ${values.isProgram ? 'programs' : 'maps'}`);
  if (inner !== undefined && type !== 'array_of_maps' && type !== 'hash_of_maps')
    throw bad(`values of a ${type} map are not maps`);
  if (type === 'allocator' && (keySize !== undefined || inner !== undefined || parts.size > 0))
    throw bad('an allocator has a value, a quota (max_entries objects, or map_extra bytes), and nothing else');
  if (BigInt(numbers.pinning) > LIBBPF_PIN_BY_NAME) throw bad(`pinning ${numbers.pinning} is not known`);
  return {
    spec: {
      name,
      type,
      keySize: keySize ?? 0,
      valueSize: valueSize ?? 0,
      maxEntries: numbers.max_entries,
      flags: numbers.map_flags,
      mapExtra,
      numaNode: numbers.numa_node,
      pinning: BigInt(numbers.pinning) === LIBBPF_PIN_BY_NAME ? 'by-name' : 'none',
      keyTypeId,
      valueTypeId,
      inner,
      ...(parts.size > 0 ? { allocators } : {}),
      contents: { kind: 'none' },
      section: SECTION,
    },
    values: values?.offset,
    parts,
  };
}

/** `int (*name)[number]`, or an enum with one value. */
function definedNumber(btf: Btf, member: BtfMember, bad: (why: string) => InputError): bigint {
  const { type } = btf.resolve(member.type);
  if (type?.kind === 'ptr') {
    const array = btf.resolve(type.type).type;
    if (array?.kind === 'array') return BigInt(array.length);
  }
  if ((type?.kind === 'enum' || type?.kind === 'enum64') && type.values.length === 1)
    return BigInt.asUintN(64, type.values[0]!.value);
  throw bad(`attribute ${member.name} is not made with __uint or __ulong`);
}

function pointee(btf: Btf, member: BtfMember, bad: (why: string) => InputError): number {
  const { type } = btf.resolve(member.type);
  if (type?.kind !== 'ptr') throw bad(`attribute ${member.name} is not made with __type`);
  return type.type;
}

/** `TYPE *values[]`, where TYPE is a struct (an inner map's definition) or a function. */
function valuesTarget(
  btf: Btf,
  member: BtfMember,
  bad: (why: string) => InputError,
): { readonly typeId: number; readonly isProgram: boolean } {
  const array = btf.resolve(member.type).type;
  const pointer = array?.kind === 'array' ? btf.resolve(array.type).type : undefined;
  if (pointer?.kind !== 'ptr')
    throw bad(`${member.name} is not made with ${member.name in partOf ? '__allocator' : '__array'}`);
  const target = btf.resolve(pointer.type);
  if (target.type?.kind !== 'struct' && target.type?.kind !== 'func_proto')
    throw bad(`${member.name} are neither maps nor programs`);
  return { typeId: target.id, isProgram: target.type.kind === 'func_proto' };
}

/** Relocations of the `values` members, which map or program stands at which index, and of the allocators. */
function withContents(
  elf: Elf,
  section: ElfSection,
  definitions: readonly Definition[],
  code: ReadonlyMap<number, CodeSection>,
): PlacedMap[] {
  const sorted = [...definitions].sort((a, b) => a.offset - b.offset);
  const byOffset = new Map(sorted.map((definition) => [definition.offset, definition]));
  const contents = new Map<Definition, Map<number, string>>();
  const allocators = new Map<Definition, Partial<Record<AllocatorPart, MapAllocator>>>();
  const view = new DataView(section.bytes.buffer, section.bytes.byteOffset, section.bytes.byteLength);
  // The place holds what is to be added to the symbol: the offset, where the symbol is the section.
  const placeOf = (offset: number, value: number) =>
    value + view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;
  for (const { offset, type, symbol } of elf.relocations(section)) {
    const bad = (why: string): InputError =>
      elf.fault(
        `relocation against ${symbol.name || `symbol ${symbol.index}`}: ${why}`,
        section,
        offset,
        'SLUICE_RELOCATION',
      );
    if (type !== R_BPF.ABS64) throw bad(`type ${type} is not for data`);
    if (offset + POINTER_SIZE > section.bytes.length) throw bad('it ends behind the section');
    const owner = sorted[lastAtOrBefore(sorted, offset)];
    const from = owner?.values === undefined ? undefined : owner.offset + owner.values;
    const part = owner?.parts.get(offset);
    if (owner !== undefined && part !== undefined) {
      const named = symbol.section === section.index ? byOffset.get(placeOf(offset, symbol.value))?.spec : undefined;
      if (named?.type !== 'allocator')
        throw bad(`it is no allocator that ${owner.spec.name} can take its ${part}s from`);
      const list = allocators.get(owner) ?? { ...owner.spec.allocators };
      list[part] = { kind: 'map', map: named.name };
      allocators.set(owner, list);
      continue;
    }
    if (owner === undefined || from === undefined || offset < from || (offset - from) % POINTER_SIZE !== 0)
      throw bad('nothing is to be put here');
    const place = placeOf(offset, symbol.value);
    let name: string | undefined;
    if (owner.spec.type === 'prog_array') name = code.get(symbol.section)?.functions.get(place / 8)?.name;
    else if (symbol.section === section.index) name = byOffset.get(place)?.spec.name;
    if (name === undefined)
      throw bad(
        `it is no ${owner.spec.type === 'prog_array' ? 'program' : 'map'} that can stand in ${owner.spec.name}`,
      );
    const list = contents.get(owner) ?? new Map<number, string>();
    list.set((offset - from) / POINTER_SIZE, name);
    contents.set(owner, list);
  }
  return sorted.map((definition) => {
    const targets = contents.get(definition);
    const named = allocators.get(definition);
    if (targets === undefined && named === undefined) return definition;
    const spec: MapSpec = {
      ...definition.spec,
      ...(named === undefined ? {} : { allocators: named }),
      ...(targets === undefined ? {} : { contents: { kind: 'references', targets } }),
    };
    return { ...definition, spec };
  });
}

function lastAtOrBefore(sorted: readonly Definition[], offset: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]!.offset <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function fault(elf: Elf, message: string, section: ElfSection, offset?: number): InputError {
  return elf.fault(message, section, offset, 'SLUICE_MAP_DEFINITION');
}
