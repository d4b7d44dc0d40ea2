/** Global functions: verified once, with arguments as their BTF signature says, and called by that signature (btf_check_func_arg_match). */

import { Refusal } from '../diagnostic.ts';
import * as k from '../kinds.ts';
import { ID } from '../layout.ts';
import { isStruct, makeBtfPointer, structName } from '../memory/btf-pointer.ts';
import { checkPlain, checkReadable } from '../memory/memory.ts';
import { LOCAL, makeConstDynptr, useDynptr } from '../resources/dynptr.ts';
import { markPrecise } from '../states/precision.ts';
import { flagsOf, isZero, kindOf, makePointer, makeUnknown, offsetOf, registerAt, set } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { checkHelperMemory } from './arguments.ts';
import { type Parameter, parametersOf } from './parameters.ts';

/** Registers at the entry of a global function that is verified by itself. */
export function enterGlobal(v: Verification, fn: number): void {
  parametersOf(v, fn).forEach((each, index) => {
    const r = registerAt(0, index + 1);
    switch (each.kind) {
      case 'scalar':
        makeUnknown(r);
        break;
      case 'context':
        makePointer(r, k.CTX, 0, 0);
        break;
      case 'dynptr':
        makeConstDynptr(v, r, LOCAL);
        break;
      case 'memory':
        makePointer(r, k.MEM, each.nonnull ? 0 : k.MAYBE_NULL, each.size);
        set(r, ID, v.newId());
        break;
      case 'trusted':
        makeBtfPointer(v, r, each.id, each.nullable ? k.TRUSTED | k.MAYBE_NULL : k.TRUSTED);
        set(r, ID, v.newId());
        break;
      case 'untrusted':
        if (each.id === undefined) makePointer(r, k.MEM, k.READ_ONLY | k.UNTRUSTED, 0);
        else makeBtfPointer(v, r, each.id, k.UNTRUSTED);
        set(r, ID, v.newId());
        break;
      case 'arena':
        makeUnknown(r);
    }
  });
}

/** Arguments of a call against the signature. */
export function checkGlobalArguments(v: Verification, fn: number): void {
  const { name } = v.code.functions[fn]!;
  try {
    for (const [index, each] of parametersOf(v, fn).entries()) checkParameter(v, name, each, index);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { diagnostic } = error;
    throw new Refusal({
      ...diagnostic,
      problem: `${diagnostic.problem}\nCaller passes invalid args into func#${fn} ('${name}')`,
    });
  }
}

function checkParameter(v: Verification, name: string, parameter: Parameter, index: number): void {
  const number = index + 1;
  const r = v.register(number);
  checkReadable(v, number);
  const refuse = (text: string): never =>
    v.refuse('global-arguments', 'Call Type Safety', text, `Argument ${number} of ${name} does not fit its signature.`);
  const kind = kindOf(r);
  switch (parameter.kind) {
    case 'scalar':
      if (kind !== k.SCALAR) refuse(`R${number} is not a scalar`);
      return;
    case 'context':
      checkPlain(v, number, r, false);
      if (kind !== k.CTX) refuse(`arg#${index} expects pointer to ctx`);
      return;
    case 'dynptr':
      useDynptr(v, number, 0, false);
      return;
    case 'memory':
      checkMemory(v, number, r, parameter.size);
      if (parameter.nonnull && (flagsOf(r) & k.MAYBE_NULL) !== 0) refuse(`arg#${index} is expected to be non-NULL`);
      return;
    case 'arena':
      if (kind !== k.ARENA && kind !== k.SCALAR) refuse(`R${number} is not a pointer to arena or scalar.`);
      return;
    case 'untrusted':
      return;
    case 'trusted':
      if (parameter.nullable && isNull(v, number, r)) return;
      checkTrusted(v, number, r, parameter.id, parameter.nullable, refuse);
  }
}

/** What is passed hangs on the register being 0. */
function isNull(v: Verification, number: number, r: number): boolean {
  if (kindOf(r) !== k.SCALAR || !isZero(r)) return false;
  markPrecise(v, number);
  return true;
}

/** The function may read and write so much; NULL it tests for itself. */
function checkMemory(v: Verification, number: number, r: number, size: number): void {
  if (isNull(v, number, r)) return;
  checkHelperMemory(v, number, r, size, false, true, false, undefined);
  checkHelperMemory(v, number, r, size, true, true, false, undefined);
}

function checkTrusted(
  v: Verification,
  number: number,
  r: number,
  id: number,
  nullable: boolean,
  refuse: (text: string) => never,
): void {
  const flags = flagsOf(r) & (nullable ? ~k.MAYBE_NULL : -1);
  const fits = kindOf(r) === k.BTF_ID && (flags === 0 || flags === k.TRUSTED || flags === k.RCU);
  if (!fits) {
    const names = [0, k.TRUSTED, k.RCU].map((each) => k.kindName(k.BTF_ID, each)).join(', ');
    refuse(`R${number} type=${k.kindName(kindOf(r), flagsOf(r))} expected=${names}`);
  }
  if (!isStruct(v, r, offsetOf(r), id, false))
    refuse(`R${number} is of type ${structName(v, r)} but ${v.vmlinux!.type(id)!.name} is expected`);
  checkPlain(v, number, r, true);
}
