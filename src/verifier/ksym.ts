/** Addresses of the kernel's variables and functions (`extern … __ksym`), by its BTF (check_pseudo_btf_id). */
import type { Btf } from '../btf/types.ts';
import { makeBtfPointer } from './btf-pointer.ts';
import * as k from './kinds.ts';
import type { KsymReference } from './program.ts';
import { makeConstant, makePointer, makeUnknown } from './records.ts';
import type { Verification } from './verification.ts';

/** Fills register record `r` with what the LDDW gives. */
export function loadKsym(v: Verification, r: number, { name, weak, typed }: KsymReference): void {
  if (!typed) {
    // An address, as a number: which one is known at load alone, and 0 for a weak symbol that is not there.
    makeUnknown(r);
    return;
  }
  const { vmlinux } = v;
  if (vmlinux === undefined) v.unfollowed(`ksym ${name} without the kernel's types (a vmlinux BTF: --btf FILE)`);
  const variable = vmlinux.find(name, 'var');
  const type = variable === undefined ? undefined : vmlinux.type(variable);
  if (variable === undefined || type?.kind !== 'var') {
    if (vmlinux.find(name, 'func') !== undefined) makePointer(r, k.MEM, k.READ_ONLY, 0);
    else if (weak) makeConstant(r, 0, 0);
    else v.unfollowed(`ksym ${name}, which is not in the kernel's BTF`);
    return;
  }
  const resolved = vmlinux.resolve(type.type);
  if (isPercpu(vmlinux, variable)) makeBtfPointer(v, r, resolved.id, k.PERCPU);
  else if (resolved.type?.kind === 'struct' || resolved.type?.kind === 'union') makeBtfPointer(v, r, resolved.id, 0);
  else makePointer(r, k.MEM, k.READ_ONLY, vmlinux.sizeOf(resolved.id));
}

const percpu = new WeakMap<Btf, ReadonlySet<number>>();

/** The variable has a copy for each CPU: it stands in the section `.data..percpu`. */
function isPercpu(btf: Btf, variable: number): boolean {
  let known = percpu.get(btf);
  if (known === undefined) {
    const section = btf.type(btf.find('.data..percpu', 'datasec') ?? 0);
    known = new Set(section?.kind === 'datasec' ? section.vars.map(({ type }) => type) : []);
    percpu.set(btf, known);
  }
  return known.has(variable);
}
