/** Global variables: each of `.rodata* .data* .bss*` is an array map with one value, the section's content. */
import type { Btf } from '../btf/types.ts';
import { type Elf, type ElfSection, SHF, SHT } from './elf.ts';
import type { MapSpec } from './spec.ts';

/** include/uapi/linux/bpf.h. */
export const BPF_F_RDONLY_PROG = 1 << 7;
export const BPF_F_MMAPABLE = 1 << 10;

const GLOBAL = /^\.(?:rodata|data|bss)(?:\..*)?$/;

/** In order of the file; the map's name is the section's. */
export function readGlobals(
  elf: Elf,
  btf: Btf | undefined,
): readonly { readonly spec: MapSpec; readonly sectionIndex: number }[] {
  const found = elf.sections.filter(
    ({ name, size, type, flags }) =>
      GLOBAL.test(name) &&
      size > 0 &&
      (flags & SHF.ALLOC) !== 0 &&
      (type === SHT.PROGBITS || type === SHT.NOBITS) &&
      (flags & SHF.EXECINSTR) === 0,
  );
  for (const section of found)
    if (elf.section(section.name) !== section)
      throw elf.fault('a second section of that name', section, undefined, 'SLUICE_DUPLICATE_NAME');
  return found.map((section) => ({ spec: globalMap(section, btf), sectionIndex: section.index }));
}

function globalMap(section: ElfSection, btf: Btf | undefined): MapSpec {
  const valueTypeId = btf?.find(section.name, 'datasec') ?? 0;
  const readOnly = section.name.startsWith('.rodata');
  const bytes = section.type === SHT.NOBITS ? new Uint8Array(section.size) : section.bytes.slice();
  return sectionMap(section.name, bytes, valueTypeId, readOnly, isMappable(btf, valueTypeId));
}

/** An array map with one value. */
export function sectionMap(
  name: string,
  bytes: Uint8Array,
  valueTypeId: number,
  readOnly: boolean,
  mappable: boolean,
): MapSpec {
  return {
    name,
    type: 'array',
    keySize: 4,
    valueSize: bytes.length,
    maxEntries: 1,
    flags: (readOnly ? BPF_F_RDONLY_PROG : 0) | (mappable ? BPF_F_MMAPABLE : 0),
    mapExtra: 0n,
    numaNode: 0,
    pinning: 'none',
    keyTypeId: 0,
    valueTypeId,
    inner: undefined,
    contents: { kind: 'bytes', bytes },
    section: name,
  };
}

/** As libbpf: only where there is a variable that user space can name; not `.rodata.str1.1`. */
function isMappable(btf: Btf | undefined, datasecId: number): boolean {
  const datasec = btf?.type(datasecId);
  if (btf === undefined || datasec?.kind !== 'datasec') return false;
  return datasec.vars.some((entry) => {
    const variable = btf.type(entry.type);
    return variable?.kind === 'var' && variable.linkage !== 'static';
  });
}
