/**
 * Kfuncs as they were: names and prototypes that objects were built against and that have changed since, and what such a call becomes. A shim with other
 * arguments than what it becomes is a kfunc of its own (own-kfuncs.ts), with a body in the plane; all that this table does is choose by name and shape.
 */
import { kfuncSignature } from '../kfunc-signature.ts';
import { shapeOfSignature } from './shape.ts';

export interface Shim {
  readonly name: string;
  /** The shape (shape.ts) in which objects declare it; undefined: whatever they say, as nothing else has that name now. */
  readonly shape: string | undefined;
  /** Who had it, from when to when: `Linux 6.3 to 6.4`, `Sluice 0.1.0`. */
  readonly had: string;
  readonly becomes: string;
}

export const shims: readonly Shim[] = [
  { name: 'bpf_cpumask_any', shape: undefined, had: 'Linux 6.3 to 6.4', becomes: 'bpf_cpumask_any_distribute' },
  { name: 'bpf_cpumask_any_and', shape: undefined, had: 'Linux 6.3 to 6.4', becomes: 'bpf_cpumask_any_and_distribute' },
  // Pushing could not fail before nodes had owners; the result is there and nobody looks at it.
  { name: 'bpf_list_push_front', shape: 'v(p,p)', had: 'Linux 6.2 to 6.3', becomes: 'bpf_list_push_front' },
  { name: 'bpf_list_push_back', shape: 'v(p,p)', had: 'Linux 6.2 to 6.3', becomes: 'bpf_list_push_back' },
  { name: 'bpf_rbtree_add', shape: 'v(p,p,p)', had: 'Linux 6.3', becomes: 'bpf_rbtree_add' },
];

export type Binding =
  /** To be called under that name; `shim` where that is not what the object says. */
  | { readonly kind: 'bound'; readonly name: string; readonly shim?: Shim }
  /** Nothing here has that name. */
  | { readonly kind: 'unknown' }
  /** There is one of that name, and it is called otherwise. */
  | { readonly kind: 'changed'; readonly shape: string };

/**
 * What a call of an extern becomes. @param shape as the object's BTF declares it; undefined without BTF: then the newest of the name.
 */
export function bindKfunc(name: string, shape: string | undefined, table: readonly Shim[] = shims): Binding {
  const signature = kfuncSignature(name);
  const current = signature === undefined ? undefined : shapeOfSignature(signature);
  if (current !== undefined && (shape === undefined || shape === current)) return { kind: 'bound', name };
  const shim = table.find((each) => each.name === name && (each.shape === undefined || each.shape === shape));
  if (shim !== undefined) return { kind: 'bound', name: shim.becomes, shim };
  return current === undefined ? { kind: 'unknown' } : { kind: 'changed', shape: current };
}
