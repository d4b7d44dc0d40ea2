// For how many of the programs that the verifier refuses a witness is found, by category. Needs a build.
// Usage: node scripts/witness-report.mjs DIR [FILTER] [--budget MS] [--list found,not-found,impossible]
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hooksInForce, readObject } from '../dist/index.js';
import { verify } from '../dist/verifier/verify.js';
import { findWitness } from '../dist/witness/find.js';

const args = process.argv.slice(2);
const option = (name) => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};
const milliseconds = Number(option('--budget') ?? 1000);
const list = option('--list')?.split(',') ?? [];
const [dir, filter] = args;
const rows = new Map();
const total = { found: 0, 'not-found': 0, impossible: 0 };
for (const file of readdirSync(dir).sort()) {
  if (!file.endsWith('.o') || (filter !== undefined && !file.includes(filter))) continue;
  const object = readObject(readFileSync(join(dir, file)), file);
  for (const program of object.programs.values()) {
    if (program.coreRelocations.length > 0) continue;
    const { verdict, diagnostics } = verify({ program, maps: object.maps, license: object.license, btf: object.btf });
    if (verdict !== 'reject') continue;
    const [diagnostic] = diagnostics;
    let result;
    try {
      result = await findWitness(object, program, diagnostic, { hooks: hooksInForce(), milliseconds });
    } catch (error) {
      console.log(`CRASH ${file}:${program.name}: ${error.stack} ${error.cause?.stack ?? ''}`);
      continue;
    }
    const row = rows.get(diagnostic.category) ?? { found: 0, 'not-found': 0, impossible: 0 };
    rows.set(diagnostic.category, row);
    row[result.kind]++;
    total[result.kind]++;
    if (list.includes(result.kind)) {
      const { witness, reason, runs } = result;
      const end = witness?.end;
      const what =
        end === undefined ? (reason ?? '') : end.kind === 'fault' ? `${end.code} at ${end.slot}` : `r0 ${end.r0}`;
      console.log(
        `${result.kind} ${file}:${program.name} [${diagnostic.id} at ${diagnostic.slot}] ${diagnostic.problem.split('\n')[0]} -> ${what} (${runs ?? 0} runs)`,
      );
    }
  }
}
console.log('CATEGORY                      FOUND  NOT FOUND  IMPOSSIBLE');
for (const [name, row] of [...rows, ['total', total]])
  console.log(
    `${name.padEnd(28)} ${String(row.found).padStart(6)} ${String(row['not-found']).padStart(10)} ${String(row.impossible).padStart(11)}`,
  );
