/** `sluice gen …`: files made from objects, from the kernel, or from nothing. */
import { addGenCapture } from './gen-capture.ts';
import { addGenTypes } from './gen-types.ts';
import { addGenVmlinux } from './gen-vmlinux.ts';
import type { Verb } from './verb.ts';

export const genVerb: Verb = (program, finish) => {
  const gen = program
    .command('gen')
    .description('make files: TypeScript types of an object, a C header of kernel types, captures');
  addGenTypes(gen, finish);
  addGenVmlinux(gen, finish);
  addGenCapture(gen, finish);
};
