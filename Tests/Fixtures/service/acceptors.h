// How connections and datagrams are taken from the shared sockets. Whatever the mode, the O_NONBLOCK flag of a shared
// socket is never changed here: it belongs to all who hold the socket.
#pragma once

void acceptors_open(void);

// Takes nothing new from now on; calls connections_no_more() when everything accepted so far has been handed on.
void acceptors_stop(void);
