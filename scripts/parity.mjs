// Writes docs/parity.md: what Linux 6.18 has, and what runs here (test/parity-page.ts). Needs the generated wasm modules.
// Usage: node scripts/parity.mjs [--check]
// Exit: 0 written, or as it should be; 1 --check found another page; 2 usage.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const [option] = process.argv.slice(2);
if (option !== undefined && option !== '--check') {
  process.stderr.write('usage: node scripts/parity.mjs [--check]\n');
  process.exit(2);
}
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const path = join(root, 'docs/parity.md');
const dir = join(root, 'node_modules/.cache/parity');
mkdirSync(dir, { recursive: true });
const bundle = await rolldown({ input: join(root, 'test/parity-page.ts'), platform: 'node', external: ['koffi'] });
await bundle.write({ dir, format: 'esm', entryFileNames: 'parity-page.mjs', chunkFileNames: '[name].mjs' });
const { parityPage, withKept } = await import(pathToFileURL(join(dir, 'parity-page.mjs')));

const there = existsSync(path) ? readFileSync(path, 'utf8') : '';
const page = withKept(parityPage(), there);
if (option === '--check') {
  if (page !== there) process.stderr.write('docs/parity.md is not what the code says: node scripts/parity.mjs\n');
  process.exit(page === there ? 0 : 1);
}
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, page);
