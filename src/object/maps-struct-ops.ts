/** Variables of `.struct_ops` and `.struct_ops.link`: each is a map whose value is a kernel struct with programs for its functions. */
import type { Btf, BtfSectionVar } from '../btf/types.ts';
import type { CodeSection } from './code.ts';
import { type Elf, type ElfSection, R_BPF } from './elf.ts';
import type { MapSpec, ProgramSpec } from './spec.ts';

/** include/uapi/linux/bpf.h: attached by a link, not by the update. */
const BPF_F_LINK = 1 << 13;
const SECTION = /^\??\.struct_ops(\.link)?$/;

/** In order of the file. Throws InputError `SLUICE_MAP_DEFINITION`, `SLUICE_RELOCATION`. */
export function readStructOps(
  elf: Elf,
  btf: Btf | undefined,
  code: ReadonlyMap<number, CodeSection>,
): readonly MapSpec[] {
  const found = elf.sections.filter(({ name, size }) => SECTION.test(name) && size > 0);
  for (const section of found)
    if (elf.section(section.name) !== section)
      throw elf.fault('a second section of that name', section, undefined, 'SLUICE_DUPLICATE_NAME');
  return found.flatMap((section) => readSection(elf, btf, section, code));
}

function readSection(
  elf: Elf,
  btf: Btf | undefined,
  section: ElfSection,
  code: ReadonlyMap<number, CodeSection>,
): MapSpec[] {
  const bad = (message: string, offset?: number) => elf.fault(message, section, offset, 'SLUICE_MAP_DEFINITION');
  const datasec = btf?.type(btf.find(section.name, 'datasec') ?? 0);
  if (btf === undefined || datasec?.kind !== 'datasec') throw bad('struct_ops are defined by BTF, and there is none');
  const programs = programsByVariable(elf, section, code, datasec.vars);
  return datasec.vars.map(({ type, offset, size }): MapSpec => {
    const variable = btf.type(type);
    if (variable?.kind !== 'var') throw bad(`type ${type} is no variable`, offset);
    const value = btf.resolve(variable.type);
    if (value.type?.kind !== 'struct') throw bad(`${variable.name} is no struct`, offset);
    if (size !== value.type.size || offset + size > section.bytes.length)
      throw bad(`${variable.name} of ${size} bytes does not fit`, offset);
    return {
      name: variable.name,
      type: 'struct_ops',
      keySize: 4,
      valueSize: size,
      maxEntries: 1,
      flags: section.name.endsWith('.link') ? BPF_F_LINK : 0,
      mapExtra: 0n,
      numaNode: 0,
      pinning: 'none',
      keyTypeId: 0,
      valueTypeId: value.id,
      inner: undefined,
      contents: {
        kind: 'struct-ops',
        bytes: section.bytes.slice(offset, offset + size),
        programs: programs.get(offset) ?? new Map(),
      },
      section: section.name,
    };
  });
}

/** Struct (without its flavor) and method that a program is: as the first map says that refers to it. Undefined: none does. */
export function methodOf(
  program: Pick<ProgramSpec, 'name'>,
  maps: ReadonlyMap<string, MapSpec>,
  btf: Btf | undefined,
): { readonly struct: string; readonly method: string | undefined; readonly offset: number } | undefined {
  if (btf === undefined) return undefined;
  for (const { contents, valueTypeId } of maps.values()) {
    if (contents.kind !== 'struct-ops') continue;
    const local = btf.type(valueTypeId);
    if (local?.kind !== 'struct') continue;
    for (const [offset, name] of contents.programs) {
      if (name !== program.name) continue;
      const method = local.members.find((member) => member.bitOffset === offset * 8)?.name;
      return { struct: local.name.replace(/___.*$/, ''), method, offset };
    }
  }
  return undefined;
}

/** By the offset of the variable: programs by byte offset within it. */
function programsByVariable(
  elf: Elf,
  section: ElfSection,
  code: ReadonlyMap<number, CodeSection>,
  variables: readonly BtfSectionVar[],
): ReadonlyMap<number, Map<number, string>> {
  const view = new DataView(section.bytes.buffer, section.bytes.byteOffset, section.bytes.byteLength);
  const found = new Map<number, Map<number, string>>();
  const relocations = [...elf.relocations(section)].sort((a, b) => a.offset - b.offset);
  const sorted = [...variables].sort((a, b) => a.offset - b.offset);
  let next = 0;
  for (const { offset, type, symbol } of relocations) {
    while (next < sorted.length && sorted[next]!.offset <= offset) next++;
    const owner = sorted[next - 1]?.offset;
    const fits = type === R_BPF.ABS64 && offset + 8 <= section.bytes.length;
    const place = fits ? symbol.value + view.getUint32(offset, true) : -1;
    const program = code.get(symbol.section)?.functions.get(place / 8);
    if (program === undefined || owner === undefined)
      throw elf.fault(
        `relocation against ${symbol.name || `symbol ${symbol.index}`}: it is no program`,
        section,
        offset,
        'SLUICE_RELOCATION',
      );
    const own = found.get(owner) ?? new Map<number, string>();
    found.set(owner, own.set(offset - owner, program.name));
  }
  return found;
}
