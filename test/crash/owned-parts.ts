/** Lists and trees of objects that a CPU works on: whole wherever it ends, with all that was in them. */
import { expect } from 'vitest';
import {
  LIST_HEAD_LAST,
  LIST_NODE_NEXT,
  LIST_NODE_OWNER,
  LIST_NODE_PREVIOUS,
  RB_NODE_LEFT,
  RB_NODE_OWNER,
  RB_NODE_PARENT,
  RB_NODE_RIGHT,
  RB_ROOT_LEFTMOST,
} from '../../src/plane/layout/record.ts';
import { callbackThunk } from '../stress/callback.ts';
import type { Part } from './parts.ts';
import type { World } from './world.ts';

const NODES = 24;
/** Bytes from one object to the next; its key stands behind the node. */
const APART = 64;
const KEY = 40;

type Program = (...args: bigint[]) => bigint;

/** Objects in a page, whose keys are their numbers out of order. */
function objects(world: World) {
  const page = world.calls.pages_alloc(1) >>> 0;
  const root = page + 32_768;
  const word = (at: number) => world.view.getUint32(at, true);
  for (let i = 0; i < NODES; i++) world.view.setUint32(page + 64 + i * APART + KEY, (i * 7) % NODES, true);
  return { root, word, at: (i: number) => page + 64 + i * APART, key: (node: number) => word(node + KEY) };
}

export function tree(world: World): Part {
  const { root, word, at, key } = objects(world);
  const f = (a: bigint, b: bigint) => (key(Number(a)) < key(Number(b)) ? 1n : 0n);
  const thunk = new WebAssembly.Instance(new WebAssembly.Module(callbackThunk), { e: { f } });
  const less = world.table.grow(1, thunk.exports['f']);
  const inside = new Set<number>();
  let pending = 0;
  /** Nodes below, in order, by the number of black ones on each way. */
  const walk = (node: number, parent: number, found: number[]): number => {
    if (node === 0) return 0;
    expect(found.length, 'tree: in circles').toBeLessThanOrEqual(NODES);
    const above = word(node + RB_NODE_PARENT);
    const isBlack = (above & 1) !== 0;
    expect(above & ~1, 'tree: parent').toBe(parent);
    if (!isBlack && parent !== 0) expect(word(parent + RB_NODE_PARENT) & 1, 'tree: red under red').toBe(1);
    const left = walk(word(node + RB_NODE_LEFT), node, found);
    found.push(node);
    const right = walk(word(node + RB_NODE_RIGHT), node, found);
    expect(right, 'tree: black nodes').toBe(left);
    return left + (isBlack ? 1 : 0);
  };
  return {
    name: 'tree',
    work(victim, random) {
      pending = at(random(NODES));
      const call = (name: string, ...args: number[]) => (victim[name] as unknown as Program)(...args.map(BigInt)); // kfuncs
      if (inside.has(pending)) call('bpf_rbtree_remove', root, pending);
      else call('bpf_rbtree_add_impl', root, pending, less, 0, 0);
    },
    done() {
      if (!inside.delete(pending)) inside.add(pending);
    },
    check(open) {
      const found: number[] = [];
      walk(word(root), 0, found);
      expect(found.map(key), 'tree: order').toEqual(found.map(key).sort((a, b) => a - b));
      expect(word(root + RB_ROOT_LEFTMOST), 'tree: leftmost').toBe(found[0] ?? 0);
      for (const node of found) expect(word(node + RB_NODE_OWNER), 'tree: owner').toBe(root);
      if (open) {
        if (found.includes(pending)) inside.add(pending);
        else {
          inside.delete(pending);
          // The program had it.
          world.view.setBigUint64(pending + RB_NODE_OWNER, 0n, true);
        }
      }
      expect(new Set(found), 'tree: what is in it').toEqual(inside);
      for (let i = 0; i < NODES; i++)
        if (!inside.has(at(i))) expect(word(at(i) + RB_NODE_OWNER), 'tree: owner of what is out').toBe(0);
    },
  };
}

export function list(world: World): Part {
  const { root, word, at } = objects(world);
  let inside: number[] = [];
  let pending: number[] = [];
  let moved = 0;
  return {
    name: 'list',
    work(victim, random) {
      const call = (name: string, ...args: number[]) =>
        Number((victim[name] as unknown as Program)(...args.map(BigInt))); // kfuncs
      const node = at(random(NODES));
      pending = [...inside];
      const back = random(2) === 0;
      if (inside.includes(node)) {
        moved = (back ? pending.pop() : pending.shift())!;
        expect(call(back ? 'bpf_list_pop_back' : 'bpf_list_pop_front', root)).toBe(moved);
      } else {
        moved = node;
        if (back) pending.push(node);
        else pending.unshift(node);
        expect(call(back ? 'bpf_list_push_back_impl' : 'bpf_list_push_front_impl', root, node, 0, 0)).toBe(0);
      }
    },
    done() {
      inside = pending;
    },
    check(open) {
      const found: number[] = [];
      let before = 0;
      for (let node = word(root); node !== 0; node = word(node + LIST_NODE_NEXT)) {
        expect(word(node + LIST_NODE_PREVIOUS), 'list: previous').toBe(before);
        expect(word(node + LIST_NODE_OWNER), 'list: owner').toBe(root);
        found.push(node);
        before = node;
        expect(found.length).toBeLessThanOrEqual(NODES);
      }
      expect(word(root + LIST_HEAD_LAST), 'list: last').toBe(before);
      expect(open ? [inside, pending] : [inside], 'list').toContainEqual(found);
      inside = found;
      if (!inside.includes(moved)) expect(open ? 0 : word(moved === 0 ? root + 64 : moved + LIST_NODE_OWNER)).toBe(0);
    },
  };
}
