/** What a verb is to the command line. */
import type { Command } from 'commander';
import type { ExitCode } from './exit.ts';
import type { Output } from './output.ts';

/** Adds itself to the program. `finish` runs the verb and keeps its exit code. */
export type Verb = (program: Command, finish: Finish) => void;
export type Finish = (json: boolean, verb: (output: Output) => Promise<ExitCode> | ExitCode) => Promise<void>;
