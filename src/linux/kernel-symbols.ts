/** Symbols of the running kernel and its modules (/proc/kallsyms). */
import { readFileSync } from 'node:fs';

let symbols: ReadonlyMap<string, bigint> | undefined;

/** Addresses of kernel symbols; all 0 for who may not see them (kernel.kptr_restrict). The first of equal names counts. */
export function kernelSymbols(): ReadonlyMap<string, bigint> {
  if (symbols === undefined) {
    const found = new Map<string, bigint>();
    for (const line of readFileSync('/proc/kallsyms', 'latin1').split('\n')) {
      const [address, , name] = line.split(/\s+/, 3);
      if (name !== undefined && !found.has(name)) found.set(name, BigInt(`0x${address}`));
    }
    symbols = found;
  }
  return symbols;
}
