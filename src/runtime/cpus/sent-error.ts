/** Errors as they go from thread to thread. */
import { InputError, InternalError, SluiceError, UnsupportedError } from '../../errors.ts';
import { ProgramFault } from '../fault.ts';

export interface SentError {
  readonly kind: 'fault' | 'input' | 'unsupported' | 'other';
  readonly code: string;
  /** Feature that is missing, or program that was stopped. */
  readonly subject: string;
  readonly message: string;
}

export function sentError(error: unknown): SentError {
  const code = error instanceof SluiceError ? error.code : '';
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ProgramFault) {
    // The constructor puts the place in front again.
    const place = `program ${error.program}: `;
    const text = message.startsWith(place) ? message.slice(place.length) : message;
    return { kind: 'fault', code, subject: error.program, message: text };
  }
  if (error instanceof UnsupportedError) return { kind: 'unsupported', code, subject: error.feature, message };
  return { kind: error instanceof InputError ? 'input' : 'other', code, subject: '', message };
}

export function receivedError({ kind, code, subject, message }: SentError): Error {
  if (kind === 'fault') return new ProgramFault(code, subject, message);
  if (kind === 'input') return new InputError(code, message);
  if (kind === 'unsupported') return new UnsupportedError(subject, message);
  return new InternalError(message);
}
