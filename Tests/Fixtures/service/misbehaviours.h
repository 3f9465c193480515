// The ways in which a user's program goes wrong, by name.
#pragma once

#include "options.h"

struct misbehaviour_description {
  const char *name;
  const char *what;  // one line for --list; says what ARG is and its default
};

extern const struct misbehaviour_description misbehaviours[MISBEHAVIOURS];

// Each is called once, at its moment in the life of the program.
void misbehave_at_start(void);
void misbehave_instead_of_ready(void);  // right before READY=1 would be sent
void misbehave_after_ready(void);
void misbehave_on_client_request(void);
