/** What the object asks of the kernel: options (`.kconfig`), functions and variables (`.ksyms`). */
import { shapeOfBtf } from '../abi/stability/shape.ts';
import { alignmentOf } from '../btf/layout.ts';
import type { Btf } from '../btf/types.ts';
import { type Elf, type ElfSymbol, SHN, STB, STT } from './elf.ts';
import { sectionMap } from './globals.ts';
import type { ExternSpec, MapSpec } from './spec.ts';

/**
 * Undefined symbols that BTF describes, by name. Undefined symbols without BTF are left out: a relocation against one is an error
 * there, with its place.
 */
export function readExterns(elf: Elf, btf: Btf | undefined): ReadonlyMap<string, ExternSpec> {
  const externs = new Map<string, ExternSpec>();
  if (btf === undefined) return externs;
  const symbols = new Map<string, ElfSymbol>();
  for (const symbol of elf.symbols)
    if (symbol.section === SHN.UNDEF && symbol.name !== '' && symbol.bind !== STB.LOCAL && symbol.type === STT.NOTYPE)
      symbols.set(symbol.name, symbol);
  for (const section of ['.kconfig', '.ksyms'] as const) {
    const id = btf.find(section, 'datasec');
    const datasec = id === undefined ? undefined : btf.type(id);
    if (datasec?.kind !== 'datasec') continue;
    for (const { type: btfId } of datasec.vars) {
      const type = btf.type(btfId);
      const symbol = type === undefined ? undefined : symbols.get(type.name);
      // Declared, but not used.
      if (type === undefined || symbol === undefined) continue;
      if (type.kind === 'func') {
        if (section === '.kconfig')
          throw elf.fault(`extern ${type.name} in .kconfig is a function`, undefined, undefined, 'SLUICE_EXTERN');
        const shape = shapeOfBtf(btf, btfId);
        externs.set(type.name, {
          name: type.name,
          section,
          weak: symbol.bind === STB.WEAK,
          btfId,
          size: 0,
          alignment: 0,
          function: true,
          ...(shape === undefined ? undefined : { shape }),
        });
      } else if (type.kind === 'var') {
        // `extern const void x __ksym` has no type: only its address can be asked for.
        const untyped = btf.resolve(type.type).type === undefined;
        if (untyped && section === '.kconfig')
          throw elf.fault(`extern ${type.name} in .kconfig has no type`, undefined, undefined, 'SLUICE_EXTERN');
        externs.set(type.name, {
          name: type.name,
          section,
          weak: symbol.bind === STB.WEAK,
          btfId,
          size: untyped ? 0 : btf.sizeOf(type.type),
          alignment: untyped ? 0 : alignmentOf(btf, type.type),
          function: false,
        });
      } else throw elf.fault(`extern ${type.name} is a ${type.kind}`, undefined, undefined, 'SLUICE_EXTERN');
    }
  }
  return externs;
}

/** The map `.kconfig`, zeros until it is loaded, and where in it each option lies. */
export function kconfigMap(
  elf: Elf,
  btf: Btf | undefined,
  externs: ReadonlyMap<string, ExternSpec>,
): { readonly map: MapSpec | undefined; readonly offsets: ReadonlyMap<string, number> } {
  const { offsets, size } = kconfigLayout(externs);
  if (size > 1 << 20) throw elf.fault(`externs in .kconfig take ${size} bytes`, undefined, undefined, 'SLUICE_EXTERN');
  if (offsets.size === 0) return { map: undefined, offsets };
  const id = btf?.find('.kconfig', 'datasec') ?? 0;
  const section = btf?.type(id);
  const described = section?.kind === 'datasec' && section.size === size;
  const map = sectionMap('.kconfig', new Uint8Array(size), described ? id : 0, true, true);
  return { map, offsets };
}

/** Byte offset of each option in the map `.kconfig`, in order, and its size: libbpf's order (alignment, size, name). */
export function kconfigLayout(externs: ReadonlyMap<string, ExternSpec>): {
  readonly offsets: ReadonlyMap<string, number>;
  readonly size: number;
} {
  const options = [...externs.values()]
    .filter(({ section }) => section === '.kconfig')
    .sort((a, b) => b.alignment - a.alignment || b.size - a.size || (a.name < b.name ? -1 : 1));
  const offsets = new Map<string, number>();
  let end = 0;
  for (const { name, size, alignment } of options) {
    const offset = Math.ceil(end / alignment) * alignment;
    offsets.set(name, offset);
    end = offset + size;
  }
  return { offsets, size: end };
}
