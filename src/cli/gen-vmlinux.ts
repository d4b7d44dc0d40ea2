/** `sluice gen vmlinux [BTF]`: the types of a kernel, a module or an object as a C header for BPF programs. */
import type { Command } from 'commander';
import { parseBtf } from '../btf/parse.ts';
import { printC } from '../btf/print-c.ts';
import type { Btf } from '../btf/types.ts';
import { InputError } from '../errors.ts';
import { readBtf } from '../object/btf-section.ts';
import { readElf } from '../object/elf.ts';
import { exitCode } from './exit.ts';
import { readInput } from './selector.ts';
import { writeText } from './text-file.ts';
import type { Finish } from './verb.ts';

const KERNEL = '/sys/kernel/btf/vmlinux';

interface VmlinuxOptions {
  readonly out?: string;
  readonly base?: string;
  readonly json?: boolean;
}

export function addGenVmlinux(gen: Command, finish: Finish): void {
  gen
    .command('vmlinux')
    .description('a C header of all types in BTF: of this kernel, of a file from another, or of an object')
    .argument('[btf]', 'BTF file, or an object or kernel image with a .BTF section', KERNEL)
    .option('-o, --out <file>', 'header to write; standard output without')
    .option('--base <btf>', "with a module's BTF: that of its kernel")
    .option('--json', 'result as JSON (sluice.gen-vmlinux/1)')
    .action((path: string, options: VmlinuxOptions) =>
      finish(options.json === true, (output) => {
        const btf = readBtfFile(path, options.base === undefined ? undefined : readBtfFile(options.base));
        const text = header(printC(btf));
        writeText(options.out, text, output);
        const bytes = new TextEncoder().encode(text).length;
        if (options.out !== undefined) output.line(`${options.out}: ${btf.typeCount} types, ${bytes} bytes`);
        output.document({
          schema: 'sluice.gen-vmlinux/1',
          types: btf.typeCount,
          bytes,
          file: options.out ?? null,
          ...(options.out === undefined ? { text } : {}),
        });
        return exitCode.yes;
      }),
    );
}

function readBtfFile(path: string, base?: Btf): Btf {
  const bytes = readInput(path);
  const isElf = bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
  if (!isElf) return parseBtf(bytes, base);
  const btf = readBtf(readElf(bytes, path));
  if (btf === undefined) throw new InputError('SLUICE_NO_BTF', 'has no .BTF section', { input: path });
  return btf;
}

/** Accesses to these types are relocated to the kernel that runs the program (CO-RE), unless the includer says otherwise. */
function header(types: string): string {
  return `#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

${types}
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif
`;
}
