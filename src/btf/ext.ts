/**
 * Reads `.BTF.ext`: which BTF function, source line and CO-RE relocation belongs to which instruction
 * (Documentation/bpf/btf.rst section 4.2). Offsets are in bytes within the named ELF section.
 */
import { InputError } from '../errors.ts';
import { btfString } from './parse.ts';
import type { Btf } from './types.ts';

export interface ExtFunction {
  readonly offset: number;
  /** BTF id of a `func`. */
  readonly typeId: number;
}

export interface ExtLine {
  readonly offset: number;
  readonly file: string;
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

/** In order of `enum bpf_core_relo_kind` (include/uapi/linux/bpf.h). */
export const coreKinds = [
  'field_byte_offset',
  'field_byte_size',
  'field_exists',
  'field_signed',
  'field_lshift_u64',
  'field_rshift_u64',
  'type_id_local',
  'type_id_target',
  'type_exists',
  'type_size',
  'enumval_exists',
  'enumval_value',
  'type_matches',
] as const;

export interface ExtCoreRelocation {
  readonly offset: number;
  readonly typeId: number;
  readonly access: string;
  readonly kind: (typeof coreKinds)[number];
}

/** By section name; each list in order of offset. */
export interface BtfExt {
  readonly functions: ReadonlyMap<string, readonly ExtFunction[]>;
  readonly lines: ReadonlyMap<string, readonly ExtLine[]>;
  readonly coreRelocations: ReadonlyMap<string, readonly ExtCoreRelocation[]>;
}

/** Throws InputError `SLUICE_BTF_EXT_MALFORMED` with section `.BTF.ext` and the byte offset. */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24) throw fault(`${bytes.length} bytes are too few for a header`, 0);
  if (view.getUint16(0, true) !== 0xeb9f) throw fault('the magic is not BTF’s', 0);
  if (view.getUint8(2) !== 1) throw fault(`version ${view.getUint8(2)} is not known`, 2);
  const header = view.getUint32(4, true);
  if (header < 24 || header > bytes.length) throw fault(`header length ${header} is wrong`, 4);
  const area = (at: number, smallest: number, what: string): Area | undefined => {
    // Headers grew: core_relo came last.
    if (header < at + 8 || view.getUint32(at + 4, true) === 0) return undefined;
    const from = header + view.getUint32(at, true);
    const to = from + view.getUint32(at + 4, true);
    if (to > bytes.length) throw fault(`${what} end at ${to}, behind the end at ${bytes.length}`, at);
    return { view, btf, from, to, smallest, what };
  };
  const funcs = area(8, 8, 'function infos');
  const lines = area(16, 16, 'line infos');
  const core = area(24, 16, 'CO-RE relocations');
  if ([funcs, lines, core].reduce((sum, a) => sum + (a === undefined ? 0 : a.to - a.from), header) > bytes.length)
    throw fault('parts overlap', 8);
  return {
    functions: unique(
      readSections(funcs, (at) => ({ offset: view.getUint32(at, true), typeId: typeId(view, btf, at + 4) })),
    ),
    lines: unique(
      readSections(lines, (at) => ({
        offset: view.getUint32(at, true),
        file: btfString(btf, view.getUint32(at + 4, true)),
        text: btfString(btf, view.getUint32(at + 8, true)),
        line: view.getUint32(at + 12, true) >>> 10,
        column: view.getUint32(at + 12, true) & 0x3ff,
      })),
    ),
    coreRelocations: readSections(core, (at) => {
      const kind = coreKinds[view.getUint32(at + 12, true)];
      if (kind === undefined)
        throw fault(`CO-RE relocation kind ${view.getUint32(at + 12, true)} is not known`, at + 12);
      return {
        offset: view.getUint32(at, true),
        typeId: typeId(view, btf, at + 4),
        access: btfString(btf, view.getUint32(at + 8, true)),
        kind,
      };
    }),
  };
}

interface Area {
  readonly view: DataView;
  readonly btf: Btf;
  readonly from: number;
  readonly to: number;
  /** Bytes of a record that we know; newer compilers may write longer ones. */
  readonly smallest: number;
  readonly what: string;
}

function readSections<T extends { readonly offset: number }>(
  area: Area | undefined,
  read: (at: number) => T,
): Map<string, T[]> {
  const sections = new Map<string, T[]>();
  if (area === undefined) return sections;
  const { view, btf, from, to, smallest, what } = area;
  if (to - from < 4) throw fault(`${what} are cut off`, from);
  const size = view.getUint32(from, true);
  if (size < smallest || size % 4 !== 0) throw fault(`${what} have records of ${size} bytes`, from);
  for (let at = from + 4; at < to; ) {
    if (to - at < 8) throw fault(`${what} are cut off`, at);
    const name = btfString(btf, view.getUint32(at, true));
    const count = view.getUint32(at + 4, true);
    const first = at + 8;
    if (first + count * size > to) throw fault(`${count} ${what} for ${name} do not fit`, at + 4);
    const list = sections.get(name) ?? [];
    sections.set(name, list);
    for (let i = 0; i < count; i++) list.push(read(first + i * size));
    at = first + count * size;
  }
  for (const list of sections.values()) list.sort((a, b) => a.offset - b.offset);
  return sections;
}

/** The first record of each place: compilers write no more, and the kernel takes no more. */
function unique<T extends { readonly offset: number }>(sections: ReadonlyMap<string, readonly T[]>): Map<string, T[]> {
  return new Map(
    [...sections].map(([name, list]) => [
      name,
      list.filter(({ offset }, index) => index === 0 || offset !== list[index - 1]!.offset),
    ]),
  );
}

function typeId(view: DataView, btf: Btf, at: number): number {
  const id = view.getUint32(at, true);
  if (id >= btf.typeCount) throw fault(`type id ${id} is out of range`, at);
  return id;
}

function fault(message: string, offset: number): InputError {
  return new InputError('SLUICE_BTF_EXT_MALFORMED', message, { section: '.BTF.ext', offset });
}
