import { afterEach, describe, expect, it } from 'vitest';
import type { Btf } from '../btf/types.ts';
import { BtfBuilder } from '../btf/write.ts';
import { ROOT, ROOT_POOL_LARGE } from '../plane/layout/memory.ts';
import * as layout from '../plane/layout/record.ts';
import { Records } from './records.ts';
import { Runtime } from './runtime.ts';

const runtime = new Runtime({ seed: 1n });
const open: Records[] = [];
afterEach(() => {
  for (const records of open.splice(0)) records.close();
});

/** struct node { u64 key; struct bpf_list_node link; struct node __kptr *next; }; struct value { struct bpf_spin_lock lock; struct bpf_list_head head; } */
function types(): { btf: Btf; node: number; value: number } {
  const made = new BtfBuilder();
  const u64 = made.add({
    kind: 'int',
    name: 'u64',
    size: 8,
    bits: 64,
    offset: 0,
    signed: false,
    bool: false,
    char: false,
  });
  const u32 = made.add({
    kind: 'int',
    name: 'u32',
    size: 4,
    bits: 32,
    offset: 0,
    signed: false,
    bool: false,
    char: false,
  });
  const struct = (name: string, size: number, members: readonly (readonly [string, number, number])[]) =>
    made.add({
      kind: 'struct',
      name,
      size,
      members: members.map(([member, type, offset]) => ({ name: member, type, bitOffset: offset * 8, bitSize: 0 })),
    });
  const link = struct('bpf_list_node', 24, [['opaque', u64, 0]]);
  const head = struct('bpf_list_head', 16, [['opaque', u64, 0]]);
  const lock = struct('bpf_spin_lock', 4, [['val', u32, 0]]);
  // The pointer's types follow the struct that has it.
  const node = struct('node', 40, [
    ['key', u64, 0],
    ['link', link, 8],
    ['next', lock + 3, 32],
  ]);
  made.add({ kind: 'type_tag', name: 'kptr', type: node, attribute: false });
  made.add({ kind: 'ptr', name: '', type: lock + 2 });
  const value = struct('value', 24, [
    ['lock', lock, 0],
    ['head', head, 8],
  ]);
  made.add({ kind: 'decl_tag', name: 'contains:node:link', type: value, component: 1, attribute: false });
  return { btf: made.build(), node, value };
}

const word = (at: number) => runtime.view().getUint32(at, true);

function fieldsOf(record: number): Record<string, number>[] {
  return Array.from({ length: word(record + layout.RECORD_COUNT) }, (_, i) => {
    const at = record + layout.RECORD_FIELDS + i * layout.FIELD_BYTES;
    return {
      kind: word(at + layout.FIELD_KIND),
      offset: word(at + layout.FIELD_OFFSET),
      target: word(at + layout.FIELD_TARGET),
      node: word(at + layout.FIELD_NODE),
    };
  });
}

describe('records', () => {
  it('tell what a struct has and what its roots and pointers lead to, a pointer to its own kind included', () => {
    const { btf, node, value } = types();
    const records = new Records(runtime, btf);
    open.push(records);
    const ofNode = records.ofObject(node);
    const ofValue = records.ofValue(value, 24);
    expect(fieldsOf(ofNode)).toEqual([
      { kind: layout.FIELD_LIST_NODE, offset: 8, target: 0, node: 0 },
      { kind: layout.FIELD_KPTR, offset: 32, target: ofNode, node: 0 },
    ]);
    expect(fieldsOf(ofValue)).toEqual([
      { kind: layout.FIELD_SPIN_LOCK, offset: 0, target: 0, node: 0 },
      { kind: layout.FIELD_LIST_HEAD, offset: 8, target: ofNode, node: 8 },
    ]);
    expect(word(ofNode + layout.RECORD_FLAGS)).toBe(layout.RECORD_OWNS);
    expect(word(ofNode + layout.RECORD_LINK)).toBe(8);
    expect(word(ofNode + layout.RECORD_BYTES)).toBe(40);
    expect(word(ofValue + layout.RECORD_LOCK)).toBe(1);
    records.defer(node);
    expect(word(ofNode + layout.RECORD_FLAGS)).toBe(layout.RECORD_OWNS | layout.RECORD_DEFERRED);
    expect(records.ofObject(node)).toBe(ofNode);
    expect(records.ofValue(0, 8)).toBe(0);
  });

  it('stay while somebody holds one of the set, and no longer', () => {
    const { btf, node } = types();
    const records = new Records(runtime, btf);
    const record = records.ofObject(node);
    const set = word(record + layout.RECORD_SET);
    runtime.plane.exports.record_hold(record);
    records.close();
    expect(word(ROOT + ROOT_POOL_LARGE)).not.toBe(set);
    runtime.plane.exports.record_release(record);
    expect(word(ROOT + ROOT_POOL_LARGE)).toBe(set);
  });
});
