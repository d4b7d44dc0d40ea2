import { describe, expect, it } from 'vitest';
import { BtfBuilder } from '../../btf/write.ts';
import { fieldOffset } from './value-fields.ts';

const member = (name: string, type: number, byte: number) => ({ name, type, bitOffset: byte * 8, bitSize: 0 });

/** Ids: 1 u64, 2 bpf_timer, 3 bpf_spin_lock; the rest from 4. */
function btf(...structs: { name: string; size: number; members: ReturnType<typeof member>[] }[]) {
  const builder = new BtfBuilder();
  const plain = { signed: false, bool: false, char: false };
  builder.add({ kind: 'int', name: 'u64', size: 8, bits: 64, offset: 0, ...plain });
  for (const each of [
    { name: 'bpf_timer', size: 16, members: [member('opaque', 1, 0)] },
    { name: 'bpf_spin_lock', size: 4, members: [] },
    ...structs,
  ])
    builder.add({ kind: 'struct', ...each });
  return builder.build();
}

describe('fields of map values', () => {
  it('are found in structs in structs', () => {
    const types = btf(
      { name: 'inner', size: 32, members: [member('lock', 3, 4), member('timer', 2, 16)] },
      { name: 'value', size: 48, members: [member('first', 1, 0), member('inner', 4, 16)] },
    );
    expect(fieldOffset(types, 5, 'bpf_timer', 48)).toBe(32);
    expect(fieldOffset(types, 5, 'bpf_spin_lock', 48)).toBe(20);
    expect(fieldOffset(types, 5, 'bpf_wq', 48)).toBeUndefined();
    expect(fieldOffset(types, 0, 'bpf_timer', 48)).toBeUndefined();
  });

  it('must lie in the value, aligned', () => {
    const types = btf({ name: 'value', size: 40, members: [member('timer', 2, 24)] });
    expect(fieldOffset(types, 4, 'bpf_timer', 40)).toBe(24);
    expect(() => fieldOffset(types, 4, 'bpf_timer', 39)).toThrow(/bpf_timer lies at byte 24 of a value of 39 bytes/);
    const skewed = btf({ name: 'value', size: 40, members: [member('timer', 2, 4)] });
    expect(() => fieldOffset(skewed, 4, 'bpf_timer', 40)).toThrow(/at byte 4/);
  });

  it('types that go round, or fan out, end the search', () => {
    const round = btf(
      { name: 'a', size: 8, members: [member('b', 5, 0)] },
      { name: 'b', size: 8, members: [member('a', 4, 0)] },
    );
    expect(fieldOffset(round, 4, 'bpf_timer', 8)).toBeUndefined();
    const levels = Array.from({ length: 64 }, (_, level) => ({
      name: `level${level}`,
      size: 8,
      members: level === 63 ? [] : [member('x', level + 5, 0), member('y', level + 5, 0)],
    }));
    expect(fieldOffset(btf(...levels), 4, 'bpf_timer', 8)).toBeUndefined();
  });
});
