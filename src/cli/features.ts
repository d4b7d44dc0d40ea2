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
        output.line(`  program types  ${here.programTypes.join(' ')}`);
        output.line(`  map types      ${here.mapTypes.join(' ')}`);
        for (const [type, names] of Object.entries(here.helpers))
          output.line(`  helpers (${type})  ${names.join(' ')}`);
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
        output.line(`  program types  ${linux.programTypes.join(' ')}`);
        output.line(`  map types      ${linux.mapTypes.join(' ')}`);
        output.document({ schema: 'sluice.features/1', sluice: here, linux });
        return exitCode.yes;
      }),
    );
};
