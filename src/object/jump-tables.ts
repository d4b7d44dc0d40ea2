/** `.jumptables`: where `gotox` may go (clang 22 with -mcpu=v4). Elements are u64 byte offsets in the function's section. */
import type { CodeFunction } from './code.ts';
import type { Elf } from './elf.ts';
import type { MapSpec } from './spec.ts';

/**
 * The table as an instruction array of one program. `base` is added to slots of the function's section to get slots of the program.
 */
export function readJumpTable(
  elf: Elf,
  sectionIndex: number,
  table: { readonly name: string; readonly start: number; readonly size: number; readonly offset: number },
  user: CodeFunction,
  base: number,
  program: string,
  name: string,
): MapSpec {
  const section = elf.sections[sectionIndex]!;
  const { start, size } = table;
  if (size % 8 !== 0 || start % 8 !== 0 || start + size > section.bytes.length)
    throw elf.fault(`jump table ${table.name} of ${size} bytes does not fit`, section, start, 'SLUICE_JUMP_TABLE');
  const view = new DataView(section.bytes.buffer, section.bytes.byteOffset, section.bytes.byteLength);
  const slots: number[] = [];
  for (let at = start; at < start + size; at += 8) {
    const target = view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
    const slot = target / 8;
    if (!Number.isInteger(slot) || slot < user.start || slot >= user.start + user.length)
      throw elf.fault(
        `jump table ${table.name} leads to byte ${target}, outside of function ${user.name}`,
        section,
        at,
        'SLUICE_JUMP_TABLE',
      );
    slots.push(base + slot);
  }
  return {
    name,
    type: 'insn_array',
    keySize: 4,
    valueSize: 8,
    maxEntries: slots.length,
    flags: 0,
    mapExtra: 0n,
    numaNode: 0,
    pinning: 'none',
    keyTypeId: 0,
    valueTypeId: 0,
    inner: undefined,
    contents: { kind: 'jump-table', program, slots },
    section: '.jumptables',
  };
}
