package import ControlProtocol

/// Who may do what. Made when batond starts and again at each reload, because the names behind the numbers can change;
/// looking names up can block, so it is not done here.
package struct AccessPolicy: Hashable, Sendable {
  /// The user batond runs as.
  package var supervisor: UInt32
  /// Users the service's programs run as: they only read, in whatever group they are, because a program that was
  /// taken over must not command its supervisor.
  package var serviceUsers: Set<UInt32>
  /// The group `baton`; nil where the host has none.
  package var operators: UInt32?

  package init(supervisor: UInt32, serviceUsers: Set<UInt32>, operators: UInt32?) {
    self.supervisor = supervisor
    self.serviceUsers = serviceUsers
    self.operators = operators
  }

  /// The most `caller` may do.
  package func access(of caller: Caller) -> Access {
    if caller.uid == 0 || caller.uid == supervisor { return .reveal }
    if serviceUsers.contains(caller.uid) { return .read }
    if let operators, caller.gid == operators || caller.groups.contains(operators) { return .change }
    return .read
  }
}

/// How much of batond one caller, one user and all of them together may take.
package struct ControlLimits: Hashable, Sendable {
  /// Connections of all callers.
  package var connections = 64
  /// Connections of all users but root: the difference is kept free for root.
  package var connectionsOfOthers = 48
  package var connectionsPerUser = 16
  /// Bytes of one message from a caller.
  package var message = 256 * 1024
  /// Bytes waiting for a caller that does not read; one more and it is cut off.
  package var output = 1024 * 1024
  /// For a message to be complete, a reply to be read, and between calls.
  package var patience = Duration.seconds(30)
  /// Calls of one connection answered before everything else has its turn.
  package var callsPerTurn = 8
  /// Calls of one user other than root: so many at once …
  package var burst = 200
  /// … and then so many a second; more wait.
  package var callsPerSecond = 100

  package init() {}
}
