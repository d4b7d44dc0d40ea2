// Compiles bpf/**/*.bpf.c into bpf/objects/**/*.bpf.o, byte for byte the same wherever the checkout lies.
// Usage: node scripts/rebuild-bpf.mjs [--check] [NAME…]   (NAME: part of a source's path; default all)
// Exit: 0 done, or all as committed; 1 --check found differences, or a source does not compile; 2 usage; 4 no clang 22 here.
// Environment: CLANG and LLVM_STRIP name other binaries (still of version 22).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = 22;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const check = process.argv.includes('--check');
const names = process.argv.slice(2).filter((argument) => argument !== '--check');

function say(line) {
  process.stderr.write(`rebuild-bpf: ${line}\n`);
}

/** First of the candidates that runs and says that it is of our version. */
function tool(...candidates) {
  return candidates.find((name) => {
    if (name === undefined) return false;
    const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' });
    return status === 0 && new RegExp(`version ${VERSION}\\.`).test(stdout);
  });
}

const clang = tool(process.env.CLANG, `clang-${VERSION}`, `/usr/lib/llvm-${VERSION}/bin/clang`, 'clang');
const strip = tool(
  process.env.LLVM_STRIP,
  `llvm-strip-${VERSION}`,
  `/usr/lib/llvm-${VERSION}/bin/llvm-strip`,
  'llvm-strip',
);
if (clang === undefined || strip === undefined) {
  say(
    `needs clang and llvm-strip ${VERSION} (Debian: clang-${VERSION}, llvm-${VERSION}); the committed objects stay as they are`,
  );
  process.exit(4);
}

const flags = [
  ...[
    '-target',
    'bpfel',
    '-mcpu=v3',
    '-O2',
    '-g',
    '-std=gnu11',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-Wno-unused-parameter',
  ],
  // No header but ours, and nothing in the object that depends on the machine.
  ...['-nostdinc', '-Ibpf/include', '-fno-ident', '-fno-addrsig'],
  ...['-fdebug-compilation-dir=.', `-ffile-prefix-map=${root}=.`],
];

/** Sources below `directory`, as paths from the root, sorted. */
function sources(directory) {
  return readdirSync(join(root, directory), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${directory}/${entry.name}`;
      if (entry.isDirectory()) return sources(path);
      return entry.name.endsWith('.bpf.c') ? [path] : [];
    });
}

const chosen = sources('bpf').filter((path) => names.length === 0 || names.some((name) => path.includes(name)));
if (chosen.length === 0) {
  say(`no source matches ${names.join(' ')}`);
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'sluice-bpf-'));
let failed = 0;
const different = [];
for (const source of chosen) {
  const object = source.replace(/^bpf\//, 'bpf/objects/').replace(/c$/, 'o');
  const built = join(scratch, 'built.bpf.o');
  // Relative paths and the root as working directory: line information then says bpf/NAME.bpf.c.
  const compiled = spawnSync(clang, [...flags, '-c', source, '-o', built], { cwd: root, stdio: 'inherit' });
  // Takes DWARF away and leaves .BTF and .BTF.ext.
  if (compiled.status !== 0 || spawnSync(strip, ['-g', built], { stdio: 'inherit' }).status !== 0) {
    say(`${source} does not compile`);
    failed++;
    continue;
  }
  const bytes = readFileSync(built);
  const same = existsSync(join(root, object)) && readFileSync(join(root, object)).equals(bytes);
  if (!same) different.push(object);
  if (!same && !check) {
    mkdirSync(dirname(join(root, object)), { recursive: true });
    writeFileSync(join(root, object), bytes);
  }
}
rmSync(scratch, { recursive: true, force: true });

for (const object of different) process.stdout.write(`${object} ${check ? 'differs' : 'written'}\n`);
const version = spawnSync(clang, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0];
say(
  `${chosen.length - different.length - failed} the same, ${different.length} ${check ? 'differ' : 'written'}, ${failed} failed (${version})`,
);
process.exit(failed > 0 || (check && different.length > 0) ? 1 : 0);
