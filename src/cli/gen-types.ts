/** `sluice gen types OBJ`: a TypeScript module with the object's shape, for typed handles. */
import type { Command } from 'commander';
import { printShape, shapeName } from '../runtime/print-shape.ts';
import { exitCode, UsageError } from './exit.ts';
import { select } from './selector.ts';
import { writeText } from './text-file.ts';
import type { Finish } from './verb.ts';

export function addGenTypes(gen: Command, finish: Finish): void {
  gen
    .command('types')
    .description('TypeScript types of maps, globals, events and programs of an object, with a layout that load checks')
    .argument('<obj>', 'object file')
    .option('-o, --out <file>', 'module to write; standard output without')
    .option('--name <identifier>', 'name of the interface; by default from the file name')
    .option('--json', 'result as JSON (sluice.gen-types/1)')
    .action((path: string, options: { out?: string; name?: string; json?: boolean }) =>
      finish(options.json === true, (output) => {
        const { object } = select(path);
        const name = options.name ?? shapeName(object.name);
        if (!/^[A-Za-z_$][\w$]*$/.test(name)) throw new UsageError(`--name ${name} is not an identifier`);
        const text = printShape(object, name);
        writeText(options.out, text, output);
        if (options.out !== undefined)
          output.line(`${options.out}: interface ${name}, ${object.programs.size} programs, ${object.maps.size} maps`);
        output.document({ schema: 'sluice.gen-types/1', name, file: options.out ?? null, text });
        return exitCode.yes;
      }),
    );
}
