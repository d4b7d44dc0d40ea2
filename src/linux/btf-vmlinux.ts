/** Types of the running kernel: vmlinux and its modules, read from sysfs once and kept. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseBtf } from '../btf/parse.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { objectIds, openById } from './bpf.ts';
import { close } from './ffi.ts';
import { btfInfoOf } from './info.ts';

const directory = '/sys/kernel/btf';

let vmlinux: Btf | undefined;
const modules = new Map<string, Btf>();

/** BTF of vmlinux. Throws UnsupportedError on a kernel without (CONFIG_DEBUG_INFO_BTF). */
export function vmlinuxBtf(): Btf {
  if (vmlinux === undefined) {
    const path = join(directory, 'vmlinux');
    if (!existsSync(path)) throw new UnsupportedError('kernel BTF', `no ${path}: the kernel was built without BTF`);
    vmlinux = parseBtf(readFileSync(path));
  }
  return vmlinux;
}

const files = new Map<string, Btf>();

/** BTF of another kernel, from a file; read once. Throws InputError `SLUICE_NO_BTF` if there is none, `SLUICE_BTF_…` for what it holds. */
export function btfFile(path: string): Btf {
  let btf = files.get(path);
  if (btf === undefined) {
    if (!existsSync(path))
      throw new InputError('SLUICE_NO_BTF', `no BTF file ${path}: name one such as /sys/kernel/btf/vmlinux`, {});
    btf = parseBtf(readFileSync(path));
    files.set(path, btf);
  }
  return btf;
}

/** Names of the loaded modules that have BTF. */
export function moduleNames(): string[] {
  return existsSync(directory) ? readdirSync(directory).filter((name) => name !== 'vmlinux') : [];
}

/** BTF of a module, its ids continuing those of vmlinux. */
export function moduleBtf(name: string): Btf {
  let btf = modules.get(name);
  if (btf === undefined) {
    btf = parseBtf(readFileSync(join(directory, name)), vmlinuxBtf());
    modules.set(name, btf);
  }
  return btf;
}

/** A descriptor of a module's BTF, which the caller owns; undefined if the kernel has none by that name. */
export function openModuleBtf(name: string): number | undefined {
  for (const id of objectIds('btf')) {
    const fd = openById('btf', id);
    if (fd === undefined) continue;
    const info = btfInfoOf(fd);
    if (info.kernel && info.name === name) return fd;
    close(fd);
  }
  return undefined;
}

export interface KernelType {
  readonly id: number;
  /** Undefined: vmlinux. */
  readonly module: string | undefined;
}

/** Where the kernel declares a function, variable or struct, vmlinux first. */
export function findKernelType(name: string, kind: 'func' | 'var' | 'struct'): KernelType | undefined {
  const id = vmlinuxBtf().find(name, kind);
  if (id !== undefined) return { id, module: undefined };
  const base = vmlinuxBtf().typeCount;
  for (const module of moduleNames()) {
    const found = moduleBtf(module).find(name, kind);
    if (found !== undefined && found >= base) return { id: found, module };
  }
  return undefined;
}
