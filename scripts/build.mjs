// Builds what is missing or older than its sources: the two AssemblyScript modules, then TypeScript into dist/.
// Usage: node scripts/build.mjs [--wasm-only] [--force]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const force = process.argv.includes('--force');
const wasmOnly = process.argv.includes('--wasm-only');

/** Newest modification time (ms) of the files below `path` that `accept` takes. */
function newest(path, accept) {
  if (!existsSync(path)) return 0;
  if (statSync(path).isFile()) return accept(path) ? statSync(path).mtimeMs : 0;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name), accept)));
}

function run(label, args) {
  process.stderr.write(`build: ${label}\n`);
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) {
    process.stderr.write(`build: ${label} failed\n`);
    process.exit(status ?? 1);
  }
}

/**
 * One AssemblyScript module over the shared memory. Its bytes become a TypeScript module, so that the rooms that
 * load it need no file system and run in a browser unchanged.
 */
function buildWasm({ room, name, memoryBase }) {
  const entry = join('src', room, 'assembly', 'index.ts');
  if (!existsSync(join(root, entry))) return;
  const out = join(root, 'src', room, 'generated', `${name}-wasm.ts`);
  const layouts = newest(join(root, 'src/plane/layout'), (f) => f.endsWith('.ts'));
  const sources = Math.max(
    layouts,
    newest(join(root, 'src', room, 'layout.ts'), () => true),
    newest(join(root, 'src', room, 'assembly'), (f) => f.endsWith('.ts')),
  );
  if (
    !force &&
    existsSync(out) &&
    statSync(out).mtimeMs > Math.max(sources, statSync(join(root, 'scripts/build.mjs')).mtimeMs)
  )
    return;
  mkdirSync(dirname(out), { recursive: true });
  const wasm = join(root, 'src', room, 'generated', `${name}.wasm`);
  run(`${name}.wasm`, [
    join(root, 'node_modules/assemblyscript/bin/asc.js'),
    entry,
    '-o',
    wasm,
    '-t',
    wasm.replace(/wasm$/, 'wat'),
    '-O3',
    '--runtime',
    'stub',
    '--noAssert',
    '--importMemory',
    '--importTable',
    '--enable',
    'threads,bulk-memory,simd',
    '--sharedMemory',
    '--initialMemory',
    '64',
    '--maximumMemory',
    '65536',
    '--memoryBase',
    String(memoryBase),
    '--use',
    'abort=',
  ]);
  const base64 = readFileSync(wasm).toString('base64');
  writeFileSync(
    out,
    `// Made by scripts/build.mjs from src/${room}/assembly.\nexport const wasmBase64: string =\n  '${base64}';\n`,
  );
}

// Static data of the modules lies at fixed places that src/plane/layout/memory.ts names.
buildWasm({ room: 'verifier', name: 'verifier', memoryBase: 0 });
buildWasm({ room: 'plane', name: 'plane', memoryBase: 0x1_0000 });
buildWasm({ room: 'interpreter', name: 'interpreter', memoryBase: 0x1_8000 });

/** The programs of patterns on rings, as bytes in a module: they are there wherever the package is. */
function embedPatterns() {
  const objects = join(root, 'bpf/objects/ring/patterns');
  const out = join(root, 'src/hooks/generated/pattern-objects.ts');
  const sources = newest(objects, (f) => f.endsWith('.bpf.o'));
  if (
    !force &&
    existsSync(out) &&
    statSync(out).mtimeMs > Math.max(sources, statSync(join(root, 'scripts/build.mjs')).mtimeMs)
  )
    return;
  const entries = readdirSync(objects)
    .filter((name) => name.endsWith('.bpf.o'))
    .sort()
    .map((name) => `  ${name.slice(0, -6)}: '${readFileSync(join(objects, name)).toString('base64')}',\n`);
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(
    out,
    `// Made by scripts/build.mjs from bpf/objects/ring/patterns.\nexport const patternObjects = {\n${entries.join('')}} as const;\n`,
  );
}
embedPatterns();

if (!wasmOnly) {
  const stamp = join(root, 'dist', '.built');
  const inputs = Math.max(
    newest(join(root, 'src'), (f) => f.endsWith('.ts') && !f.endsWith('.test.ts')),
    statSync(join(root, 'tsconfig.json')).mtimeMs,
    statSync(join(root, 'tsconfig.build.json')).mtimeMs,
  );
  if (force || !existsSync(stamp) || statSync(stamp).mtimeMs < inputs) {
    run('TypeScript', [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json']);
    writeFileSync(stamp, '');
  }
}
