#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(main)) {
  process.stderr.write('sluice is not built yet: run `npm run build` in its folder first\n');
  process.exit(70);
}
// A reader that has seen enough, such as head, is no error.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
const { main: run } = await import(main.href);
process.exitCode = await run(process.argv.slice(2));
