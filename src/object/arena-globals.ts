/** Global variables in an arena (`__arena`, address space 1): the section `.addr_space.1` is what the object's arena begins with. */
import type { Elf } from './elf.ts';
import { SHT } from './elf.ts';
import type { MapSpec } from './spec.ts';

const SECTION = '.addr_space.1';

/** The arena with its contents, and the index of the section; undefined where the object has no such variables. */
export function readArenaGlobals(
  elf: Elf,
  maps: ReadonlyMap<string, MapSpec>,
): { readonly spec: MapSpec; readonly sectionIndex: number } | undefined {
  const section = elf.section(SECTION);
  if (section === undefined || section.size === 0) return undefined;
  const arena = [...maps.values()].find(({ type }) => type === 'arena');
  if (arena === undefined)
    throw elf.fault('variables in an arena, and the object has none', section, undefined, 'SLUICE_MAP_DEFINITION');
  if (section.size > arena.maxEntries * 4096)
    throw elf.fault(
      `${section.size} bytes of variables do not fit the ${arena.maxEntries} pages of arena ${arena.name}`,
      section,
      undefined,
      'SLUICE_MAP_DEFINITION',
    );
  const bytes = section.type === SHT.NOBITS ? new Uint8Array(section.size) : section.bytes.slice();
  return { spec: { ...arena, contents: { kind: 'bytes', bytes } }, sectionIndex: section.index };
}
