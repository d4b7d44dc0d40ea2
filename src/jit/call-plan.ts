/**
 * Which plane function a helper call becomes, and with which arguments. The map's own operation (`hash_lookup`) is called
 * where the map is known and the plane exports it; the helper by its name otherwise.
 */
import { helperBody } from '../abi/helpers/index.ts';
import type { HelperPrototype } from '../abi/prototype.ts';
import type { Fact } from './fact.ts';
import type { FunctionType } from './wasm/module.ts';
import { I32, I64, type ValueType } from './wasm/opcodes.ts';

export const HELPER = {
  MAP_LOOKUP: 1,
  MAP_UPDATE: 2,
  MAP_DELETE: 3,
  SMP_PROCESSOR_ID: 8,
  TAIL_CALL: 12,
  LOOP: 181,
  KPTR_XCHG: 194,
} as const;

/** The kfunc that is no call: a WebAssembly exception. */
export const THROW = 'bpf_throw';

export interface CallPlan {
  /** Export of the plane. */
  readonly name: string;
  /** Types of r1, r2, … as they are passed. */
  readonly parameters: readonly ValueType[];
  readonly result: ValueType;
}

export function typeOf(plan: CallPlan): FunctionType {
  return { parameters: plan.parameters, results: [plan.result] };
}

/** @param fact of r1 to r5. */
export function planHelper(
  prototype: HelperPrototype,
  fact: (register: number) => Fact,
  planeExports: ReadonlySet<string>,
): CallPlan {
  return planMapCall(prototype.id, fact, planeExports) ?? plainCall(helperBody(prototype), prototype.args.length);
}

export function plainCall(name: string, args: number): CallPlan {
  return { name, parameters: new Array<ValueType>(args).fill(I64), result: I64 };
}

function planMapCall(
  id: number,
  fact: (register: number) => Fact,
  planeExports: ReadonlySet<string>,
): CallPlan | undefined {
  if (id !== HELPER.MAP_LOOKUP && id !== HELPER.MAP_UPDATE && id !== HELPER.MAP_DELETE) return undefined;
  const map = fact(1);
  if (map.kind !== 'const' || map.map === undefined) return undefined;
  const { type, keySize } = map.map;
  const candidates: CallPlan[] =
    id === HELPER.MAP_LOOKUP
      ? [`${type}_lookup_${keySize}`, `${type}_lookup`].map((name) => ({ name, parameters: [I32, I32], result: I32 }))
      : id === HELPER.MAP_UPDATE
        ? [{ name: `${type}_update`, parameters: [I32, I32, I32, I64], result: I64 }]
        : [{ name: `${type}_delete`, parameters: [I32, I32], result: I64 }];
  return candidates.find(({ name }) => planeExports.has(name));
}
