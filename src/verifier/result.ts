/** What a program, a global function or an asynchronous callback may return (check_return_code). */

import { checkResultRange, rangeText } from './calls/function-call.ts';
import * as k from './kinds.ts';
import { SMAX32, SMIN32 } from './layout.ts';
import { resultRange, resultStruct } from './memory/context-btf.ts';
import { checkPlain, checkReadable } from './memory/memory.ts';
import { markPrecise } from './states/precision.ts';
import { auxOf, flagsOf, kindOf, referenceOf, smaxOf, sminOf, typesOf, words } from './states/records.ts';
import type { Verification } from './verification.ts';

/** @param number register with the result: 0, or 1 for what is thrown without a callback. */
export function checkResult(v: Verification, number: number): void {
  const r = v.register(number);
  const frame = v.state.frames[v.state.depth]!;
  if (frame.asynchronous) {
    checkReadable(v, number);
    const what = 'At async callback return';
    if (kindOf(r) !== k.SCALAR)
      v.refuse(
        'callback-result',
        'Execution Context Safety',
        `${what} the register R${number} is not a known value (${k.kindName(kindOf(r), flagsOf(r))})`,
        'The callback has to return a number.',
      );
    checkResultRange(v, `${what} the register R${number} has`, number, frame.range);
    return;
  }
  if (v.root !== 0 && v.root !== v.exceptionCallback) {
    const spec = v.code.functions[v.root]!;
    const func = v.btf!.type(spec.btfId!);
    const proto = func?.kind === 'func' ? v.btf!.type(func.type) : undefined;
    if (proto?.kind === 'func_proto' && proto.returns === 0) return;
    checkReadable(v, number);
    if (kindOf(r) !== k.SCALAR)
      v.refuse(
        'global-result',
        'Execution Context Safety',
        `At subprogram exit the register R${number} is not a scalar value (${k.kindName(kindOf(r), flagsOf(r))})`,
        'Callers of a global function know nothing of a pointer that it returns.',
      );
    return;
  }
  const { declaration, program } = v;
  const ofTarget = v.target === undefined ? undefined : targetRule(v);
  if (ofTarget === 'void') return;
  checkReadable(v, number);
  const rule =
    ofTarget ??
    (program.attachType === undefined ? undefined : declaration.returnsByAttachType?.get(program.attachType)) ??
    declaration.returns;
  if (rule === 'any') return;
  if (rule === 'by_target') v.unfollowed(`result of ${declaration.type} programs`);
  if (kindOf(r) !== k.SCALAR)
    v.refuse(
      'result',
      'Execution Context Safety',
      `At program exit the register R${number} is not a known value (${k.kindName(kindOf(r), flagsOf(r))})`,
      'The program has to return a number.',
    );
  markPrecise(v, number);
  const narrow = declaration.type === 'lsm' && program.attachType === 'lsm_mac';
  const within = narrow ? within32(r, rule) : sminOf(r) >= rule.min && smaxOf(r) <= rule.max;
  if (within) return;
  const note =
    declaration.type === 'lsm' && program.attachType === 'lsm_cgroup' && v.target?.prototype.returns === 0
      ? "\nNote, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!"
      : '';
  v.refuse(
    'result',
    'Execution Context Safety',
    `${rangeText(`At program exit the register R${number} has`, r)} should have been in [${rule.min}, ${rule.max}]${note}`,
    'The hook takes only those results.',
  );
}

function within32(r: number, rule: { readonly min: number; readonly max: number }): boolean {
  return words[(r + SMIN32) >> 2]! >= rule.min && words[(r + SMAX32) >> 2]! <= rule.max;
}

/** What hooks and methods of the kernel take; `void`: R0 is not looked at. undefined: as the declaration says. */
function targetRule(v: Verification): 'void' | 'any' | { readonly min: number; readonly max: number } | undefined {
  const { type } = v.declaration;
  const nothing = v.target!.prototype.returns === 0;
  if (type === 'lsm') {
    if (v.program.attachType === 'lsm_cgroup') return nothing ? { min: 1, max: 1 } : undefined;
    return nothing ? 'void' : resultRange(v)!;
  }
  if (type !== 'struct_ops') return undefined;
  if (nothing) return 'void';
  const struct = resultStruct(v);
  if (struct === undefined) return 'any';
  const r = v.register(0);
  if (kindOf(r) !== k.BTF_ID || referenceOf(r) === 0 || auxOf(r) !== struct || typesOf(r) !== k.KERNEL_TYPES)
    return { min: 0, max: 0 };
  // The caller becomes the owner of what is returned.
  checkPlain(v, 0, r, false);
  return 'void';
}
