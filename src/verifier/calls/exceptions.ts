/** bpf_throw, and the exception callback that a tag of the program names (bpf_find_exception_callback_insn_off). */

import { declTags } from '../program/decl-tags.ts';
import { refuseLeak } from '../resources/critical-section.ts';
import { checkResult } from '../result.ts';
import type { Verification } from '../verification.ts';

const TAG = 'exception_callback:';

function refuse(v: Verification, problem: string): never {
  v.refuse('exception-callback', 'Program Structure', problem, 'The tag names one global function of the object.', 0);
}

/** Finds the exception callback, which is verified as a global function is. */
export function findExceptionCallback(v: Verification): void {
  const { btf, code } = v;
  const entry = code.functions[0]!.btfId;
  if (btf === undefined || entry === undefined) return;
  const names = declTags(btf, entry)
    .filter(({ name, component }) => component === -1 && name.startsWith(TAG))
    .map(({ name }) => name.slice(TAG.length));
  if (names.length > 1) refuse(v, 'multiple exception callback tags for main subprog');
  const [name] = names;
  if (name === undefined) return;
  const id = btf.find(name, 'func');
  const func = id === undefined ? undefined : btf.type(id);
  if (func?.kind !== 'func') refuse(v, `exception callback '${name}' could not be found in BTF`);
  if (func.linkage !== 'global') refuse(v, `exception callback '${name}' must have global linkage`);
  const index = code.functions.findIndex(({ btfId }) => btfId === id);
  if (index <= 0) refuse(v, 'exception callback type id not found in func_info');
  v.exceptionCallback = index;
  v.callbacks.add(index);
  v.asynchronousCallbacks.add(index);
  v.globalsToVerify.push(index);
}

/** The callback takes the cookie, and nothing else. */
export function checkExceptionParameters(v: Verification, scalars: readonly boolean[]): void {
  if (scalars.length !== 1 || scalars[0] !== true) refuse(v, 'exception cb only supports single integer argument');
}

/** The path ends here: nothing may be held, in any frame. The default callback returns the cookie as the program's result. */
export function runThrow(v: Verification): void {
  if (v.exceptionCallback < 0) checkResult(v, 1);
  refuseLeak(v, 'bpf_throw');
}
