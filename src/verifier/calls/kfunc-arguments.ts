/** Arguments of kfuncs against their prototypes: what a parameter asks for, by its type and its name's suffix (check_kfunc_args). */
import type { KfuncParameter, KfuncSignature, KfuncType } from '../../abi/kfunc-signature.ts';
import type { KfuncFlag } from '../../abi/linux-kfuncs.ts';
import type { ObjectKfunc } from '../../abi/object-kfuncs.ts';
import * as k from '../kinds.ts';
import { FLAGS } from '../layout.ts';
import { checkPlain } from '../memory/memory.ts';
import { checkSameMap, checkValueField } from '../memory/value-field.ts';
import type { AllocatorName } from '../ownership.ts';
import { checkDynptrArgument, type DynptrFacts } from '../resources/dynptr.ts';
import { checkGraphArgument, graphStructs, type Root } from '../resources/graph.ts';
import { checkFlagsArgument } from '../resources/irq-flags.ts';
import { checkIteratorArgument } from '../resources/iterator.ts';
import { runLock } from '../resources/spin-lock.ts';
import { markPrecise } from '../states/precision.ts';
import { aux2Of, auxOf, constantOf, flagsOf, isConstant, isZero, kindOf, referenceOf, set } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { allocatorIn, refuseAllocator } from './allocator-argument.ts';
import { checkHelperMemory, checkSize } from './arguments.ts';
import { checkConstString } from './const-string.ts';
import { checkAllocated, checkRefcounted, checkStructArgument, isKernelObject } from './kfunc-btf.ts';

/** What is learnt of the arguments on the way. */
export interface KfuncFacts {
  readonly signature: KfuncSignature;
  readonly name: string;
  /** Reference of an argument, 0 for none; and the register that a releasing kfunc takes. */
  reference: number;
  released: number;
  /** What it does with objects of the program's own types. */
  readonly act: ObjectKfunc | undefined;
  /** What the program says objects are to come from. */
  from: AllocatorName | undefined;
  /** Value of the `__k` or `__szk` argument. */
  constant: number | undefined;
  /** Size of the memory that is returned, 0 where the type says it. */
  memorySize: number;
  readOnly: boolean;
  /** Function passed, -1 for none. */
  callback: number;
  /** Map passed, -1 for none. */
  mapIndex: number;
  mapUid: number;
  dynptr: DynptrFacts | undefined;
  /** Record of the iterator's first slot, 0 for none. */
  iterator: number;
  /** Elements of the list or tree in an argument. */
  graph: Root | undefined;
  /** Object of the program's own types that is passed or made, and whether the program owns the one that was passed. */
  object: { readonly id: number; readonly origin: number } | undefined;
  owned: boolean;
}

export function hasFlag(facts: KfuncFacts, flag: KfuncFlag): boolean {
  return facts.signature.kfunc.flags.includes(flag);
}

/** Pointers must be those of owners, or as good (is_kfunc_trusted_args). */
export function asksForTrust(facts: KfuncFacts): boolean {
  return hasFlag(facts, 'trusted_args') || hasFlag(facts, 'release');
}

export function refuseArgument(v: Verification, facts: KfuncFacts, index: number, problem: string): never {
  v.refuse('kfunc-argument', 'Call Type Safety', problem, `Argument ${index + 1} of ${facts.name} must be another.`);
}

export function checkKfuncArguments(v: Verification, facts: KfuncFacts): void {
  const { params } = facts.signature;
  for (let i = 0; i < params.length; i++) {
    const param = params[i]!;
    if (param.suffix === 'ign' || param.suffix === 'prog') continue;
    if (param.type.kind === 'scalar') checkScalar(v, facts, param, i);
    else if (param.type.kind === 'pointer' && checkPointer(v, facts, param, param.type.to, i)) i++;
  }
  if (hasFlag(facts, 'release') && facts.released === 0)
    v.refuse(
      'not-a-reference',
      'Resource Lifetime Safety',
      `release kernel function ${facts.name} expects refcounted PTR_TO_BTF_ID`,
      'The kfunc ends the life of an object, and none that the program owns was passed.',
    );
}

function checkScalar(v: Verification, facts: KfuncFacts, param: KfuncParameter, index: number): void {
  const number = index + 1;
  const r = v.register(number);
  if (kindOf(r) !== k.SCALAR) refuseArgument(v, facts, index, `R${number} is not a scalar`);
  if (param.suffix === 'k') {
    if (!isConstant(r)) refuseArgument(v, facts, index, `R${number} must be a known constant`);
    markPrecise(v, number);
    facts.constant = constantOf(r);
    return;
  }
  if (param.name !== 'rdonly_buf_size' && param.name !== 'rdwr_buf_size') return;
  if (!isConstant(r)) refuseArgument(v, facts, index, `R${number} is not a const`);
  facts.readOnly = param.name === 'rdonly_buf_size';
  facts.memorySize = constantOf(r);
  if (facts.memorySize < 0 || facts.memorySize > 0xffff_ffff)
    refuseArgument(v, facts, index, `R${number} rdonly/rdwr_buf_size exceeds u32 max`);
  markPrecise(v, number);
}

const MAP: KfuncType = { kind: 'struct', name: 'bpf_map', size: 0, scalars: false };

/** True if the next parameter, the size of this one, is dealt with too. */
function checkPointer(
  v: Verification,
  facts: KfuncFacts,
  param: KfuncParameter,
  to: KfuncType,
  index: number,
): boolean {
  const number = index + 1;
  const r = v.register(number);
  const kind = kindOf(r);
  const isNull = kind === k.SCALAR && isZero(r) && isConstant(r);
  const maybeNull = kind !== k.SCALAR && (flagsOf(r) & k.MAYBE_NULL) !== 0;
  if ((asksForTrust(facts) || hasFlag(facts, 'rcu')) && (isNull || maybeNull) && param.suffix !== 'nullable')
    v.refuse(
      'maybe-null-argument',
      'Call Type Safety',
      `Possibly NULL pointer passed to trusted arg${index}`,
      'Compare the pointer with NULL first.',
    );
  if (kind !== k.SCALAR && referenceOf(r) !== 0) {
    facts.reference = referenceOf(r);
    if (hasFlag(facts, 'release')) facts.released = number;
  }
  const struct = to.kind === 'struct' ? to.name : '';
  if (struct !== '' && (struct === v.declaration.context.struct || facts.name === 'bpf_cast_to_kern_ctx')) {
    checkContext(v, facts, number, r);
    return false;
  }
  if (facts.name === 'bpf_cast_to_kern_ctx') {
    checkContext(v, facts, number, r);
    return false;
  }
  if (param.suffix === 'nullable' && isNull) return false;
  if (param.suffix === 'alloc') {
    checkAllocated(v, facts, index);
    return false;
  }
  if (param.suffix === 'refcounted_kptr') {
    checkRefcounted(v, facts, index);
    return false;
  }
  if (graphStructs.has(struct)) {
    checkGraphArgument(v, facts, param, struct, index);
    return false;
  }
  if (struct === 'bpf_dynptr') {
    checkDynptrArgument(v, facts, param, index);
    return false;
  }
  if (isIterator(facts, param, index)) {
    checkIteratorArgument(v, facts, struct, to.kind === 'struct' ? to.size : 0, index);
    return false;
  }
  if (param.suffix === 'str') {
    if (kind !== k.MAP_VALUE || maybeNull)
      refuseArgument(v, facts, index, `arg#${index} doesn't point to a const string`);
    checkConstString(v, number);
    return false;
  }
  if (param.suffix === 'map') {
    if (facts.act?.from === true) {
      facts.from = allocatorIn(v, facts, index);
      return false;
    }
    if (kind === k.BTF_ID) {
      // A map that an iterator walks over, say: a struct of the kernel like any other.
      checkStructArgument(v, facts, param, MAP, index);
      return false;
    }
    if (kind !== k.MAP_PTR) refuseArgument(v, facts, index, `pointer in R${number} isn't map pointer`);
    refuseAllocator(v, facts, index);
    checkPlain(v, number, r, false);
    const given = { map: auxOf(r), uid: aux2Of(r) };
    if (facts.mapIndex >= 0)
      checkSameMap(
        v,
        facts.name === 'bpf_wq_init' ? 'workqueue' : 'bpf_task_work',
        { map: facts.mapIndex, uid: facts.mapUid },
        given,
        number,
      );
    facts.mapIndex = given.map;
    facts.mapUid = given.uid;
    return false;
  }
  if (struct === 'bpf_wq' || struct === 'bpf_task_work') {
    if (kind !== k.MAP_VALUE || maybeNull) refuseArgument(v, facts, index, `arg#${index} doesn't point to a map value`);
    facts.mapIndex = checkValueField(v, number, struct);
    facts.mapUid = aux2Of(r);
    return false;
  }
  if (struct === 'bpf_res_spin_lock') {
    const kind = facts.name.includes('_irq') ? 'resilient-irq' : 'resilient';
    runLock(v, number, kind, facts.name.startsWith('bpf_res_spin_lock'));
    return false;
  }
  if (param.suffix === 'irq_flag') {
    checkFlagsArgument(v, facts, index);
    return false;
  }
  if (isKernelObject(r)) {
    checkStructArgument(v, facts, param, to, index);
    return false;
  }
  if (to.kind === 'function') {
    if (kind !== k.FUNC) refuseArgument(v, facts, index, `arg${index} expected pointer to func`);
    facts.callback = auxOf(r);
    return false;
  }
  return checkPlainMemory(v, facts, param, to, index);
}

function isIterator(facts: KfuncFacts, param: KfuncParameter, index: number): boolean {
  const iterates = hasFlag(facts, 'iter_new') || hasFlag(facts, 'iter_next') || hasFlag(facts, 'iter_destroy');
  return iterates ? index === 0 : param.suffix === 'iter';
}

function checkContext(v: Verification, facts: KfuncFacts, number: number, r: number): void {
  const kind = kindOf(r);
  if (kind !== k.CTX)
    refuseArgument(
      v,
      facts,
      number - 1,
      `arg#${number - 1} expected pointer to ctx, but got ${k.kindName(kind, flagsOf(r))}`,
    );
  checkPlain(v, number, r, false);
}

function checkPlainMemory(
  v: Verification,
  facts: KfuncFacts,
  param: KfuncParameter,
  to: KfuncType,
  index: number,
): boolean {
  const number = index + 1;
  const r = v.register(number);
  const size = facts.signature.params[index + 1];
  const sized =
    (size?.suffix === 'sz' || size?.suffix === 'szk') &&
    size.type.kind === 'scalar' &&
    kindOf(v.register(number + 1)) === k.SCALAR;
  const plain = to.kind === 'scalar' || (to.kind === 'struct' && to.scalars) || (sized && to.kind === 'void');
  if (!plain) {
    const shown = to.kind === 'struct' ? `STRUCT ${to.name}` : to.kind === 'pointer' ? 'PTR ' : 'UNKNOWN ';
    const what = sized ? 'void, ' : '';
    const problem = `arg#${index} pointer type ${shown} must point to ${what}scalar, or struct with scalar`;
    refuseArgument(v, facts, index, problem);
  }
  const isNull = kindOf(r) === k.SCALAR && isZero(r) && isConstant(r);
  if (!sized) {
    if (isNull) return false;
    const bytes = to.kind === 'scalar' || to.kind === 'struct' ? to.size : 0;
    notNullMeanwhile(r, () => {
      for (const write of [false, true]) checkHelperMemory(v, number, r, bytes, write, true, false, undefined);
    });
    return false;
  }
  if (!(isNull && param.suffix === 'opt'))
    notNullMeanwhile(r, () => {
      for (const write of [false, true])
        checkSize(v, write, number + 1, v.register(number + 1), true, false, undefined);
    });
  if (size.suffix === 'szk') {
    const s = v.register(number + 1);
    if (!isConstant(s)) refuseArgument(v, facts, index + 1, `R${number + 1} must be a known constant`);
    facts.constant = constantOf(s);
  }
  return true;
}

/** Memory arguments may be NULL unless the kfunc says that it trusts them: what is behind them is checked as if they were not. */
function notNullMeanwhile(r: number, check: () => void): void {
  const flags = flagsOf(r);
  if (kindOf(r) !== k.SCALAR) set(r, FLAGS, flags & ~k.MAYBE_NULL);
  check();
  if (kindOf(r) !== k.SCALAR) set(r, FLAGS, flags);
}
