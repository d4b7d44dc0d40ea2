/** `sluice features`: what this machine's kernel offers, and what Sluice offers. */
import { mapTypes } from '../abi/map-types.ts';
import { hookedDeclarations } from '../index.ts';
import { bpfRefusal, kernelFeatures } from '../linux/features.ts';
import { supportedMapTypes } from '../runtime/maps/plane-map.ts';
import { planeExports } from '../runtime/plane.ts';
import { isRunnable } from '../runtime/resolve.ts';
import { exitCode } from './exit.ts';
import type { Verb } from './verb.ts';

export const featuresVerb: Verb = (program, finish) => {
  program
    .command('features')
    .description("what this machine's kernel offers, and what Sluice offers")
    .option('--require <what>', 'exit 4 unless it is there: bpf')
    .option('--json', 'result as JSON')
    .action((options: { require?: string; json?: boolean }) =>
      finish(options.json === true, (output) => {
        const refusal = bpfRefusal();
        if (options.require !== undefined) {
          if (refusal !== undefined) output.note(refusal);
          return refusal === undefined ? exitCode.yes : exitCode.missing;
        }
        const { bold } = output.colors;
        const exports = planeExports();
        const here = {
          programTypes: hookedDeclarations().map(({ type }) => type),
          helpers: Object.fromEntries(
            hookedDeclarations().map(({ type, helpers }) => [
              type,
              [...helpers.values()].filter((prototype) => isRunnable(prototype, exports)).map(({ name }) => name),
            ]),
          ),
          mapTypes: Object.keys(mapTypes).filter((type) => (supportedMapTypes as ReadonlySet<string>).has(type)),
        };
        output.line(bold('Sluice, in user space'));
        const names = (label: string, list: readonly string[]) => output.line(wrapped(label, list));
        names('program types', here.programTypes);
        names('map types', here.mapTypes);
        const everywhere = common(Object.values(here.helpers));
        names('helpers of all program types', everywhere);
        for (const [type, helpers] of Object.entries(here.helpers))
          names(
            `${type}, beyond those`,
            helpers.filter((name) => !everywhere.includes(name)),
          );
        output.line(`\n${bold('Linux, on this machine')}`);
        if (refusal !== undefined) {
          output.line(`  ${refusal}`);
          output.document({ schema: 'sluice.features/1', sluice: here, linux: null, refusal });
          return exitCode.yes;
        }
        const linux = kernelFeatures();
        output.line(`  kernel         ${linux.release}, ${linux.cpus} CPUs`);
        output.line(`  JIT            ${linux.jit}`);
        output.line(`  BTF            ${linux.btf ? '/sys/kernel/btf/vmlinux' : 'none'}`);
        names('program types', linux.programTypes);
        names('map types', linux.mapTypes);
        output.document({ schema: 'sluice.features/1', sluice: here, linux });
        return exitCode.yes;
      }),
    );
};

function common([first = [], ...others]: readonly (readonly string[])[]): string[] {
  return first.filter((name) => others.every((list) => list.includes(name)));
}

/** The label, and below it the names in lines of up to 100 columns. */
export function wrapped(label: string, names: readonly string[]): string {
  const lines = [`  ${label}: ${names.length}`];
  let line = '   ';
  for (const name of names) {
    if (line.length + 1 + name.length > 100) {
      lines.push(line);
      line = '   ';
    }
    line += ` ${name}`;
  }
  return [...lines, ...(names.length === 0 ? [] : [line])].join('\n');
}
