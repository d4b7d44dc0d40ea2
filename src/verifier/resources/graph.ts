/** Lists and red-black trees of objects: roots in map values or objects, protected by the lock beside them; nodes that are owned by the program or by the root. */
import type { KfuncParameter } from '../../abi/kfunc-signature.ts';
import type { SpecialField } from '../../btf/special-fields.ts';
import { type KfuncFacts, refuseArgument } from '../calls/kfunc-arguments.ts';
import { checkOffset } from '../calls/kfunc-btf.ts';
import * as k from '../kinds.ts';
import { AUX2, OFFSET } from '../layout.ts';
import { btfOf, structName } from '../memory/btf-pointer.ts';
import type { OwnerField } from '../ownership.ts';
import {
  auxOf,
  constantOf,
  flagsOf,
  idOf,
  isConstant,
  kindOf,
  makePointer,
  offsetOf,
  referenceOf,
  set,
} from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { inLessCallback, makeNonOwning } from './ownership.ts';
import { setOrigin } from './provenance.ts';
import { fieldsOf, ownerOf } from './spin-lock.ts';

/** Where the elements of a root are linked: struct of the program and offset of its node. */
export interface Graph {
  readonly struct: number;
  readonly offset: number;
}

/** A root in an argument, and where it is. */
export interface Root extends Graph {
  readonly owner: OwnerField;
}

export const graphStructs = new Set(['bpf_list_head', 'bpf_list_node', 'bpf_rb_root', 'bpf_rb_node']);

export function checkGraphArgument(
  v: Verification,
  facts: KfuncFacts,
  param: KfuncParameter,
  struct: string,
  index: number,
): void {
  if (kindOf(v.register(index + 1)) === k.BTF_ID) checkOffset(v, facts, index);
  if (struct === 'bpf_list_head' || struct === 'bpf_rb_root') facts.graph = checkRoot(v, facts, struct, index);
  else checkNode(v, facts, param, struct, index);
}

function fieldAt(
  v: Verification,
  facts: KfuncFacts,
  struct: string,
  index: number,
): { readonly field: SpecialField; readonly at: number } {
  const number = index + 1;
  const r = v.register(number);
  if (!isConstant(r))
    refuseArgument(
      v,
      facts,
      index,
      `R${number} doesn't have constant offset. ${struct} has to be at the constant offset`,
    );
  const at = offsetOf(r) + constantOf(r);
  const field = fieldsOf(v, r).find(({ kind, offset }) => kind === struct && offset === at);
  if (field === undefined) refuseArgument(v, facts, index, `${struct} not found at offset=${at}`);
  return { field, at };
}

function checkRoot(v: Verification, facts: KfuncFacts, struct: string, index: number): Root {
  const r = v.register(index + 1);
  const object = kindOf(r) === k.BTF_ID && flagsOf(r) === k.ALLOC;
  if (!object && (kindOf(r) !== k.MAP_VALUE || flagsOf(r) !== 0))
    refuseArgument(v, facts, index, `arg#${index} expected pointer to map value or allocated object`);
  if (object && referenceOf(r) === 0) refuseArgument(v, facts, index, 'allocated object must be referenced');
  const { field } = fieldAt(v, facts, struct, index);
  const lock = fieldsOf(v, r).find(({ kind }) => kind === 'bpf_spin_lock');
  const mustBeHeld = `bpf_spin_lock at off=${lock?.offset ?? -22} must be held for ${struct}`;
  const { locks } = v.state;
  if (locks.length === 0) refuseArgument(v, facts, index, mustBeHeld);
  if (!locks.some(({ id, owner }) => id === idOf(r) && owner === ownerOf(r)))
    refuseArgument(v, facts, index, `held lock and object are not in the same allocation\n${mustBeHeld}`);
  const graph = graphOf(v, field);
  if (graph === undefined) v.unfollowed(`${struct} without a contains tag`);
  return { ...graph, owner: v.provenance.owner(v, r, field) };
}

/** By the tag `contains:STRUCT:MEMBER` of the root. */
export function graphOf(v: Verification, field: SpecialField): Graph | undefined {
  const { contains } = field;
  const struct = contains === undefined ? undefined : v.btf!.find(contains.struct, 'struct');
  const type = struct === undefined ? undefined : v.btf!.type(struct);
  const member = type?.kind === 'struct' ? type.members.find(({ name }) => name === contains!.member) : undefined;
  return member === undefined ? undefined : { struct: struct!, offset: member.bitOffset / 8 };
}

function checkNode(v: Verification, facts: KfuncFacts, param: KfuncParameter, struct: string, index: number): void {
  const r = v.register(index + 1);
  const owned = facts.act?.less === true || struct === 'bpf_list_node';
  const nonOwning = kindOf(r) === k.BTF_ID && (flagsOf(r) & (k.ALLOC | k.NON_OWNING)) === (k.ALLOC | k.NON_OWNING);
  if (owned) {
    if (param.suffix === 'nonown_allowed' && nonOwning && referenceOf(r) === 0) {
      checkPlace(v, facts, struct, index);
      return;
    }
    if (kindOf(r) !== k.BTF_ID || flagsOf(r) !== k.ALLOC)
      refuseArgument(v, facts, index, `arg#${index} expected pointer to allocated object`);
    if (referenceOf(r) === 0) refuseArgument(v, facts, index, 'allocated object must be referenced');
  } else {
    if (!nonOwning && (kindOf(r) === k.SCALAR || referenceOf(r) === 0))
      refuseArgument(v, facts, index, `${facts.name} can only take non-owning or refcounted bpf_rb_node pointer`);
    if (inLessCallback(v)) refuseArgument(v, facts, index, `${facts.name} not allowed in rbtree cb`);
  }
  checkPlace(v, facts, struct, index);
}

/** The node is one that the root's elements are linked by. */
function checkPlace(v: Verification, facts: KfuncFacts, struct: string, index: number): void {
  const r = v.register(index + 1);
  const { at } = fieldAt(v, facts, struct, index);
  const { graph } = facts;
  if (graph === undefined) v.unfollowed('node without a root');
  const root = struct === 'bpf_list_node' ? 'bpf_list_head' : 'bpf_rb_root';
  const name = v.btf!.type(graph.struct)?.name ?? '';
  if (btfOf(v, r) !== v.btf || auxOf(r) !== graph.struct)
    refuseArgument(
      v,
      facts,
      index,
      `operation on ${root} expects arg#1 ${struct} at offset=${graph.offset} in struct ${name}, but arg is at offset=${at} in struct ${structName(v, r)}`,
    );
  if (at !== graph.offset)
    refuseArgument(
      v,
      facts,
      index,
      `arg#1 offset=${at}, but expected ${struct} at offset=${graph.offset} in struct ${name}`,
    );
}

/** Pointer to the node of an element of the root. */
export function makeNode(v: Verification, r: number, graph: Root): void {
  makePointer(r, k.BTF_ID, k.ALLOC, graph.struct);
  set(r, AUX2, k.PROGRAM_TYPES);
  setOrigin(r, v.provenance.origin({ kind: 'field', slot: v.slot, field: graph.owner }));
  set(r, OFFSET, graph.offset);
}

/** What `less` of bpf_rbtree_add is called with: two elements that the tree owns. */
export function makeLessArguments(v: Verification, first: number, second: number, graph: Root): void {
  for (const r of [first, second]) {
    makeNode(v, r, graph);
    makeNonOwning(v, r);
  }
}
