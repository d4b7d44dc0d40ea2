// Bundles test/verifier-parity.ts and runs it. Usage: node scripts/verifier-parity.mjs DIR [FILTER] [--list stricter,laxer,unsupported,message] [--cache FILE] [--program NAME]
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'node_modules/.cache/verifier-parity.mjs');
mkdirSync(dirname(out), { recursive: true });
const bundle = await rolldown({ input: join(root, 'test/verifier-parity.ts'), platform: 'node', external: ['koffi'] });
await bundle.write({ file: out, format: 'esm' });
const { status } = spawnSync(process.execPath, [out, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(status ?? 1);
