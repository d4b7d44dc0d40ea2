// Arrays and strings of properties get as long as their properties allow: by default fast-check stops some ten elements above the minimum.
import fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), baseSize: 'medium' });
