// What a program inherits from the one that started it: looked at before this program has changed any of it.
#pragma once

// Writes it as JSON to `path` (in a directory when it ends in `/`), complete from the moment the file is there.
void inheritance_report(const char *path, int argc, char **argv);

// Ends the program, naming everything that is wrong: blocked or ignored signals, descriptors beyond 0-2 and LISTEN_FDS.
void inheritance_check(void);
