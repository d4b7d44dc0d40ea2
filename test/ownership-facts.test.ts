/** What the verifier says of the objects of accepted programs: types of calls, where objects come from and go; and kfuncs that Linux 6.18 has not. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readObject } from '../src/object/index.ts';
import type { Origin, OwnerField } from '../src/verifier/ownership.ts';
import { type Verdict, verify } from '../src/verifier/verify.ts';
import { clangs, compileBpf, noClang } from './clang.ts';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const spec =
  noClang === ''
    ? readObject(
        compileBpf(readFileSync(path('objects/ownership-facts.bpf.c'), 'utf8'), {
          flags: ['-nostdinc', `-I${path('../bpf/include')}`],
          clang: clangs[0]!,
        }),
        'facts.o',
      )
    : undefined;

/** Without the kernel's types: those of objects are the program's own. */
function judge(name: string): Verdict {
  const { maps, license, btf, programs } = spec!;
  return verify({ program: programs.get(name)!, maps, license, btf });
}

const nameOf = (struct: number) => spec!.btf!.type(struct)?.name;
const place = (field: OwnerField) =>
  field.kind === 'map'
    ? `${field.map}${field.inner ? '[]' : ''}+${field.offset}`
    : `struct ${nameOf(field.struct)}+${field.offset}`;
const from = (origin: Origin) =>
  origin.kind === 'implicit'
    ? 'new'
    : origin.kind === 'allocator'
      ? `${origin.map}.${origin.part}`
      : place(origin.field);

function facts(name: string) {
  const { verdict, ownership } = judge(name);
  expect(verdict).toBe('accept');
  return {
    edges: ownership!.edges.map(({ struct, origin, into }) => `${nameOf(struct)}: ${from(origin)} -> ${place(into)}`),
    shared: [...ownership!.shared].map(nameOf),
    calls: [...ownership!.calls.values()].map(({ name: call, struct, node, allocator }) =>
      [call, nameOf(struct), ...(node === 0 ? [] : [node]), ...(allocator === undefined ? [] : [allocator.map])].join(
        ' ',
      ),
    ),
  };
}

describe.skipIf(noClang !== '')(`facts of ownership${noClang}`, () => {
  it('paths with different allocators are followed apart', () => {
    const { edges, calls } = facts('either');
    expect(edges.sort()).toEqual(['small: ma.map -> slots+0', 'small: mb.map -> slots+0']);
    expect(calls).toContain('bpf_mem_alloc_impl small ma');
    expect(calls).toContain('bpf_mem_alloc_impl small mb');
  });

  it('an element moves between lists of one value', () => {
    expect(facts('move')).toEqual({
      edges: ['item: lines+8 -> lines+24'],
      shared: [],
      calls: ['bpf_list_pop_front item 8', 'bpf_list_push_back_impl item 8'],
    });
  });

  it('objects go into objects, and into the values of inner maps', () =>
    expect(facts('nested').edges).toEqual(['small: new -> struct owner+8', 'owner: new -> outer[]+8']));

  it('what is looked at without being taken is shared', () =>
    expect(facts('look')).toEqual({ edges: [], shared: ['small'], calls: [] }));

  it('kfuncs of Linux 7.1 and 7.2', () => {
    const { calls, edges, shared } = facts('later');
    expect(calls).toEqual(
      expect.arrayContaining([
        'bpf_obj_new counted',
        'bpf_list_push_front counted 16',
        'bpf_list_add counted 16',
        'bpf_list_del counted 16',
        'bpf_list_is_first counted 16',
        'bpf_list_empty counted 16',
        'bpf_obj_drop counted',
      ]),
    );
    expect(edges).toEqual(['counted: new -> counted_lines+8', 'counted: new -> counted_lines+8']);
    expect(shared).toEqual(['counted']);
  });

  it.each([
    ['later_adds_element', 'arg#1 expected pointer to allocated object'],
    ['later_unlocked', 'bpf_spin_lock at off=0 must be held for bpf_list_head'],
    ['allocator_as_map', 'cannot pass map_type allocator into func bpf_map_lookup_elem'],
    ['map_as_allocator', 'arg#0 is neither an allocator map nor an allocator of a map'],
  ])('%s: %s', (name, problem) => {
    const { verdict, diagnostics } = judge(name);
    expect([verdict, diagnostics[0]?.problem]).toEqual(['reject', problem]);
  });
});
