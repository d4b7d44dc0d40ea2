/** object/: the way in. See spec.ts for what comes out. */
import { parseBtfExt } from '../btf/ext.ts';
import { InputError } from '../errors.ts';
import { readArenaGlobals } from './arena-globals.ts';
import { placeKconfig, readBtf } from './btf-section.ts';
import { readCode } from './code.ts';
import { type Elf, readElf } from './elf.ts';
import { kconfigLayout, kconfigMap, readExterns } from './externs.ts';
import { readGlobals } from './globals.ts';
import { Linker } from './link.ts';
import { readBtfMaps } from './maps-btf.ts';
import { readLegacyMaps } from './maps-legacy.ts';
import { readStructOps } from './maps-struct-ops.ts';
import type { Targets } from './references.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from './spec.ts';
import { readTraits, traitsOf } from './traits.ts';

/**
 * Reads a BPF object: a 64-bit little-endian relocatable ELF file, as clang 11 to 22 and libbpf's and bpftool's linkers write it.
 *
 * `name` is what messages call the object, usually the file's name. `bytes` is not written to, but views of it are kept (by
 * `btf`), so it must not change afterwards. Work and memory are bounded by a multiple of the file's size.
 *
 * Throws InputError with the object's name, section and byte offset: `SLUICE_ELF_…` for the container, `SLUICE_BTF_…` and
 * `SLUICE_BTF_EXT_…` for types, `SLUICE_MAP_DEFINITION`, `SLUICE_RELOCATION`, `SLUICE_CALL_TARGET`, `SLUICE_JUMP_TABLE`,
 * `SLUICE_EXTERN`, `SLUICE_TRAITS`, `SLUICE_DUPLICATE_NAME`, `SLUICE_OBJECT_TOO_LARGE`.
 */
export function readObject(bytes: Uint8Array, name: string): ObjectSpec {
  try {
    return read(readElf(bytes, name));
  } catch (error) {
    // The readers of BTF do not know whose it is.
    if (!(error instanceof InputError) || error.location.input !== undefined) throw error;
    throw new InputError(error.code, error.message, { input: name }, { cause: error });
  }
}

function read(elf: Elf): ObjectSpec {
  const asWritten = readBtf(elf);
  const externs = readExterns(elf, asWritten);
  const btf = asWritten && placeKconfig(asWritten, kconfigLayout(externs));
  const extSection = elf.section('.BTF.ext');
  const ext = btf === undefined || extSection === undefined ? undefined : parseBtfExt(extSection.bytes, btf);
  const code = readCode(elf);

  const maps = new Map<string, MapSpec>();
  const addMap = (spec: MapSpec): void => {
    if (maps.has(spec.name))
      throw elf.fault(`a second map named ${spec.name}`, elf.section(spec.section), undefined, 'SLUICE_DUPLICATE_NAME');
    maps.set(spec.name, spec);
  };
  const placed = new Map<number, ReadonlyMap<number, string>>();
  const btfMaps = readBtfMaps(elf, btf, code);
  const allocators = btfMaps.flatMap(({ spec, parts }) =>
    [...parts].map(([offset, part]) => [offset, { map: spec.name, part }] as const),
  );
  for (const [sectionName, definitions] of [
    ['maps', readLegacyMaps(elf)],
    ['.maps', btfMaps],
  ] as const) {
    const section = elf.section(sectionName);
    if (section === undefined) continue;
    placed.set(section.index, new Map(definitions.map(({ offset, spec }) => [offset, spec.name])));
    for (const { spec } of definitions) addMap(spec);
  }
  for (const spec of readStructOps(elf, btf, code)) addMap(spec);
  const globals = readGlobals(elf, btf);
  for (const { spec } of globals) addMap(spec);
  const arena = readArenaGlobals(elf, maps);
  if (arena !== undefined) maps.set(arena.spec.name, arena.spec);
  const kconfig = kconfigMap(elf, btf, externs);
  if (kconfig.map !== undefined) addMap(kconfig.map);

  const traits = readTraits(elf);
  const targets: Targets = {
    code,
    maps: placed,
    allocators: new Map([[elf.section('.maps')?.index ?? -1, new Map(allocators)]]),
    globals: new Map(
      [...globals, ...(arena === undefined ? [] : [arena])].map(({ sectionIndex, spec }) => [sectionIndex, spec.name]),
    ),
    externs,
    withPointers: new Set(
      globals.filter(({ sectionIndex }) => elf.isRelocated(sectionIndex)).map(({ sectionIndex }) => sectionIndex),
    ),
    kconfigOffsets: kconfig.offsets,
    traits,
    jumpTables: elf.section('.jumptables')?.index ?? -1,
  };
  const linker = new Linker(elf, targets, ext, btf);
  const programs = new Map<string, ProgramSpec>();
  for (const { section, functions } of code.values()) {
    const entries = [...functions.values()].filter(({ isProgram }) => isProgram).sort((a, b) => a.start - b.start);
    for (const entry of entries) {
      if (programs.has(entry.name))
        throw elf.fault(`a second program named ${entry.name}`, section, entry.start * 8, 'SLUICE_DUPLICATE_NAME');
      const { program, jumpTables } = linker.link(entry);
      programs.set(entry.name, program);
      for (const table of jumpTables) addMap(table);
    }
  }

  return {
    name: elf.name,
    license: readLicense(elf),
    kernelVersion: readVersion(elf),
    btf,
    programs,
    maps,
    externs,
    traits: traitsOf(traits),
    sections: elf.sections.map(({ index, name, type, flags, offset, size }) => ({
      index,
      name,
      type,
      flags,
      offset,
      size,
    })),
  };
}

function readLicense(elf: Elf): string {
  const bytes = elf.section('license')?.bytes ?? new Uint8Array(0);
  const end = bytes.indexOf(0);
  // The kernel keeps 128 bytes of it.
  return new TextDecoder().decode(bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, 127)));
}

function readVersion(elf: Elf): number {
  const section = elf.section('version');
  if (section === undefined || section.bytes.length === 0) return 0;
  if (section.bytes.length < 4) throw elf.fault('the version is cut off', section, section.bytes.length);
  return new DataView(section.bytes.buffer, section.bytes.byteOffset, 4).getUint32(0, true);
}
