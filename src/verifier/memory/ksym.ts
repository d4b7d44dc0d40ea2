/** Addresses of the kernel's variables and functions (`extern … __ksym`), by its BTF (check_pseudo_btf_id). */
import { ownKfuncs } from '../../abi/own-kfuncs.ts';
import type { Btf } from '../../btf/types.ts';
import * as k from '../kinds.ts';
import type { KsymReference } from '../program/program.ts';
import { makeConstant, makePointer, makeUnknown } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { makeBtfPointer } from './btf-pointer.ts';

/** Fills register record `r` with what the LDDW gives. */
export function loadKsym(v: Verification, r: number, { name, weak, typed }: KsymReference): void {
  if (!typed) {
    loadAddress(v, r, name, weak);
    return;
  }
  // Where a program runs here it is there, and in Linux it is not: both ways are walked.
  if (weak && ownKfuncs.get(name)?.since === undefined && ownKfuncs.has(name)) {
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

/** An address, as a number: which one is known where the kernel's symbols are, and 0 for a weak symbol that is not there. */
function loadAddress(v: Verification, r: number, name: string, weak: boolean): void {
  const address = v.symbolAddress?.(name);
  if (v.symbolAddress !== undefined && address === undefined) {
    if (!weak) v.unfollowed(`ksym ${name}, which this kernel does not have`);
    makeConstant(r, 0, 0);
  } else if (address === undefined || address === 0n) makeUnknown(r);
  else makeConstant(r, Number(address & 0xffff_ffffn), Number(address >> 32n));
}

/** Typed symbols must have an address, whether the LDDW is reached or not. */
export function checkKsyms(v: Verification): void {
  const { vmlinux, symbolAddress } = v;
  if (vmlinux === undefined || symbolAddress === undefined) return;
  for (const [slot, { name, typed }] of v.code.ksyms) {
    const described = vmlinux.find(name, 'var') ?? vmlinux.find(name, 'func');
    if (!typed || described === undefined || symbolAddress(name) !== undefined) continue;
    v.refuse(
      'ksym',
      'Program Structure',
      `ldimm64 failed to find the address for kernel symbol '${name}'.`,
      'The kernel describes the symbol, and was built without its address (CONFIG_KALLSYMS_ALL).',
      slot,
    );
  }
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
