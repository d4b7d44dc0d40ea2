/** A process that verifies one program once, and prints its time and memory: see `verifyInProcess`. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { VerifyInput } from '../verifier/verify.ts';

const [subject] = process.argv.slice(2);
const [shape, size] = subject!.split(':');
const generated = size !== undefined && /^\d+$/.test(size);

async function inputOf(): Promise<VerifyInput> {
  if (generated) {
    const { growthShapes, grownObject } = await import('./verify-programs.ts');
    const known = growthShapes.find((each) => each === shape);
    const spec = grownObject(known!, Number(size));
    return { program: spec.programs.get('grown')!, maps: spec.maps, license: spec.license, btf: spec.btf };
  }
  const { readObject } = await import('../object/index.ts');
  const spec = readObject(readFileSync(subject!), basename(subject!));
  const [program] = spec.programs.values();
  return { program: program!, maps: spec.maps, license: spec.license, btf: spec.btf };
}

const input = await inputOf();
const start = performance.now();
const { verify } = await import('../verifier/verify.ts');
const { verdict, stats } = verify(input);
const ms = performance.now() - start;
if (verdict !== 'accept') throw new Error(`${subject}: ${verdict}`);
const peakMb = process.resourceUsage().maxRSS / 1024;
process.stdout.write(JSON.stringify({ ms, insns: stats.insns, peakMb }));
