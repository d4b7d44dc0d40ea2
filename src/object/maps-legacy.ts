/**
 * Maps of the `maps` section, from before BTF: an array of C structs. Their length depends on whose they are:
 * 20 bytes the kernel's bpf_map_def (type, key size, value size, entries, flags); 28 bytes the same with the index of an inner map
 * and a NUMA node; 36 bytes iproute2's bpf_elf_map (… flags, id, pinning, inner id, inner index).
 */
import { mapTypeName } from '../abi/map-types.ts';
import { type Elf, type ElfSection, type ElfSymbol, STT } from './elf.ts';
import type { MapSpec } from './spec.ts';

const SECTION = 'maps';
const SMALLEST = 16;
/** PIN_GLOBAL_NS of iproute2; PIN_OBJECT_NS (1) is by object, which we do not have. */
const PIN_GLOBAL_NS = 2;

interface Raw {
  readonly spec: MapSpec;
  readonly offset: number;
  readonly innerIndex: number | undefined;
  readonly id: number | undefined;
  readonly innerId: number | undefined;
}

/** In order of their place. Throws InputError `SLUICE_MAP_DEFINITION`. */
export function readLegacyMaps(elf: Elf): readonly { readonly spec: MapSpec; readonly offset: number }[] {
  const section = elf.section(SECTION);
  if (section === undefined || section.size === 0) return [];
  const symbols = elf.symbols
    .filter((symbol) => symbol.section === section.index && symbol.type !== STT.SECTION && symbol.name !== '')
    .sort((a, b) => a.value - b.value);
  if (symbols.length === 0) throw fault(elf, 'no symbol names a map here', section);
  const raw = symbols.map((symbol, index) => readMap(elf, section, symbol, symbols[index + 1]));
  const byId = new Map(raw.map((map) => [map.id, map]));
  return raw.map((map) => {
    const type = map.spec.type;
    if (type !== 'array_of_maps' && type !== 'hash_of_maps') return map;
    const inner =
      map.innerId !== undefined && map.innerId !== 0
        ? byId.get(map.innerId)
        : map.innerIndex === undefined
          ? undefined
          : raw[map.innerIndex];
    if (inner === undefined || inner === map)
      throw fault(elf, `map ${map.spec.name}: its inner map is not there`, section, map.offset);
    return { offset: map.offset, spec: { ...map.spec, inner: { ...inner.spec, name: `${map.spec.name}.inner` } } };
  });
}

function readMap(elf: Elf, section: ElfSection, symbol: ElfSymbol, next: ElfSymbol | undefined): Raw {
  const { name, value: offset } = symbol;
  const room = (next?.value ?? section.bytes.length) - offset;
  // Old assemblers write no sizes: then the next definition is the end.
  const size = symbol.size === 0 ? room : symbol.size;
  if (
    offset > section.bytes.length ||
    offset + size > section.bytes.length ||
    size > room ||
    size < SMALLEST ||
    size % 4 !== 0
  )
    throw fault(elf, `map ${name}: a definition of ${size} bytes, with ${room} to the next`, section, offset);
  const view = new DataView(section.bytes.buffer, section.bytes.byteOffset + offset, size);
  const field = (index: number): number => (index * 4 + 4 <= size ? view.getUint32(index * 4, true) : 0);
  const iproute = size === 36;
  for (let index = iproute ? 9 : 7; index * 4 < size; index++)
    if (field(index) !== 0)
      throw fault(
        elf,
        `map ${name}: byte ${index * 4} of its definition is set and not known`,
        section,
        offset + index * 4,
      );
  const type = mapTypeName(field(0));
  if (type === undefined) throw fault(elf, `map ${name}: map type ${field(0)} is not known`, section, offset);
  return {
    offset,
    innerIndex: iproute || size < 28 ? undefined : field(5),
    id: iproute ? field(5) : undefined,
    innerId: iproute ? field(7) : undefined,
    spec: {
      name,
      type,
      keySize: field(1),
      valueSize: field(2),
      maxEntries: field(3),
      flags: field(4),
      mapExtra: 0n,
      numaNode: iproute || size < 28 ? 0 : field(6),
      pinning: iproute && field(6) === PIN_GLOBAL_NS ? 'by-name' : 'none',
      keyTypeId: 0,
      valueTypeId: 0,
      inner: undefined,
      contents: { kind: 'none' },
      section: SECTION,
    },
  };
}

function fault(elf: Elf, message: string, section: ElfSection, offset?: number) {
  return elf.fault(message, section, offset, 'SLUICE_MAP_DEFINITION');
}
