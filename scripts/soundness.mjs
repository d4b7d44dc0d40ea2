// Bundles test/soundness-main.ts, if wanted with patched lines of the verifier, and runs it.
// Usage: node scripts/soundness.mjs [SEED [MILLISECONDS [PROGRAMS]]] [--mutation NAME] [--objects DIR (mutated besides those of bpf/)] | node scripts/soundness.mjs FILE (its output once more, every step)
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as asc from 'assemblyscript/asc';
import { rolldown } from 'rolldown';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * Bundles the fuzzer with a mutation ({ name, file, from, to }; file below src/verifier) in the place of the line as it stands; returns
 * the path. Sources stay as they are. `write: false`: only whether the line is there. Throws where `from` does not stand in the file exactly once.
 */
export async function bundleFuzzer(mutation, { write = true } = {}) {
  const out = join(root, 'node_modules/.cache/soundness', `${mutation?.name ?? 'sound'}.mjs`);
  mkdirSync(dirname(out), { recursive: true });
  const patched = mutation === undefined ? undefined : patch(mutation);
  if (!write) return out;
  const wasm = mutation?.file.startsWith('assembly/') ? await compile(mutation.file, patched) : undefined;
  const bundle = await rolldown({
    input: join(root, 'test/soundness-main.ts'),
    platform: 'node',
    external: ['koffi'],
    plugins: [
      {
        name: 'mutation',
        load(id) {
          const file = relative(join(root, 'src/verifier'), id);
          if (wasm !== undefined && file === 'generated/verifier-wasm.ts')
            return `export const wasmBase64 = '${wasm}';`;
          return patched !== undefined && file === mutation.file ? patched : undefined;
        },
      },
    ],
  });
  await bundle.write({ file: out, format: 'esm', codeSplitting: false });
  return out;
}

function patch({ name, file, from, to }) {
  const text = readFileSync(join(root, 'src/verifier', file), 'utf8');
  if (text.split(from).length !== 2)
    throw new Error(`mutation ${name}: its line does not stand in ${file} once: ${from}`);
  return text.replace(from, () => to);
}

/** The verifier's arithmetic with one patched source, as base64. Options as in scripts/build.mjs. */
async function compile(file, patched) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      'src/verifier/assembly/index.ts',
      ...[
        '-o',
        'out.wasm',
        '-O1',
        '--runtime',
        'stub',
        '--noAssert',
        '--importMemory',
        '--importTable',
        '--sharedMemory',
      ],
      ...['--enable', 'threads,bulk-memory,simd', '--initialMemory', '64', '--maximumMemory', '65536'],
      ...['--memoryBase', '0', '--use', 'abort=', '--baseDir', root],
    ],
    {
      readFile(name, base) {
        const path = join(base, name);
        if (relative(join(root, 'src/verifier'), path) === file) return patched;
        try {
          return readFileSync(path, 'utf8');
        } catch {
          return null;
        }
      },
      writeFile(name, contents) {
        if (basename(name) === 'out.wasm') binary = Buffer.from(contents).toString('base64');
      },
      listFiles: () => null,
    },
  );
  if (error !== null || binary === undefined) throw new Error(`${file}: ${error?.message}\n${stderr.toString()}`);
  return binary;
}

/** Runs a bundle of bundleFuzzer. Returns what it printed. */
export function runFuzzer(bundle, seed, milliseconds, programs = 1e9, objects) {
  const arguments_ = [bundle, root, seed, milliseconds, programs, ...(objects === undefined ? [] : [objects])].map(
    String,
  );
  const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`the fuzzer ended with ${code}`));
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const option = (option) => {
    const at = args.indexOf(option);
    return at < 0 ? undefined : args.splice(at, 2)[1];
  };
  const name = option('--mutation');
  const objects = option('--objects');
  const { mutations } = await import('../test/soundness-mutations.mjs');
  const mutation = name === undefined ? undefined : mutations.find((each) => each.name === name);
  if (name !== undefined && mutation === undefined) throw new Error(`no mutation ${name}`);
  const bundle = await bundleFuzzer(mutation);
  const [seed = '1', milliseconds = '60000', programs] = args;
  if (existsSync(seed)) {
    spawn(process.execPath, [bundle, root, resolve(seed), '0', '0', ...(objects === undefined ? [] : [objects])], {
      stdio: 'inherit',
    });
  } else console.log(JSON.stringify(await runFuzzer(bundle, seed, milliseconds, programs, objects), undefined, 1));
}
