/** A program that an engine stopped. */
import { InputError } from '../errors.ts';

/** The program did what it may not do; nothing outside its memory was touched. `code` is SLUICE_FAULT_…. */
export class ProgramFault extends InputError {
  readonly program: string;

  constructor(code: string, program: string, message: string, options?: ErrorOptions) {
    super(code, message, { input: `program ${program}` }, options);
    this.program = program;
  }
}
