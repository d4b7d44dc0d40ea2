// The kernel's selftests (scripts/selftests.mjs) against this kernel and against us: verdicts, messages, and with --run return values.
// Usage: node scripts/selftests-compare.mjs [DIR] [FILTER] [--list stricter,laxer,unsupported,message,differs,refused-here]
//        [--cache FILE] [--program NAME] [--run] [--engine jit|interpreter] [--untagged] [--write]     --write: into docs/parity.md
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { compileSelftests } from './selftests.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'node_modules/.cache/selftests');
mkdirSync(out, { recursive: true });
const args = process.argv.slice(2);
if (args[0] === undefined || args[0].startsWith('--') || !existsSync(args[0])) {
  const { objects } = await compileSelftests([], { note: (text) => process.stderr.write(`${text}\n`) });
  args.unshift(objects);
}
const bundle = await rolldown({
  input: join(root, 'test/selftests/compare.ts'),
  platform: 'node',
  external: ['koffi'],
});
await bundle.write({ dir: out, format: 'esm', entryFileNames: 'compare.mjs', chunkFileNames: '[name].mjs' });
const { status } = spawnSync(process.execPath, [join(out, 'compare.mjs'), ...args], { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
