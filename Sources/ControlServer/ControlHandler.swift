package import ControlProtocol
package import LinuxSystem
package import Vocabulary

/// What the control socket asks of the supervisor. All calls come on the loop's thread and return at once; what takes
/// time answers later through its ``ControlReply``.
///
/// The server has checked access and the form of the parameters before it calls.
package protocol ControlHandler: AnyObject {
  func status() -> StatusReport

  /// With `hold` the new generation waits so long for ``commit(_:)``; ``ControlReply/callerLeft`` must give it up.
  func reload(release: ReleaseID?, hold: Duration?, _ reply: ControlReply)
  func commit(_ operation: OperationID) throws(ControlError)
  func abort(_ operation: OperationID) throws(ControlError)
  /// The socket goes to the caller; nil where the reply has a path.
  func probe(_ operation: OperationID, socket: SocketName) throws(ControlError) -> (ProbeReply, Descriptor?)
  func restart(_ reply: ControlReply)
  func upgrade(_ reply: ControlReply)
  /// With `now` what was taken is cut instead of finished.
  func stop(now: Bool, _ reply: ControlReply)
  func scale(engine: EngineName, workers: Int, _ reply: ControlReply)
  /// Who got it.
  func signal(_ name: String, engine: EngineName, worker: String?, by caller: Caller) throws(ControlError) -> [String]

  /// Gives the last `limit` events, oldest first, through ``EventSink/begin(with:)`` (now or later); with `follow` also
  /// what happens after that, until ``EventSink/isOpen`` is false.
  func events(limit: Int, follow: Bool, _ sink: EventSink)

  /// The variables an engine's workers are started with; nil when there is no such engine. Values are shown by the
  /// server only to those who may see them.
  func environment(engine: EngineName) -> [EnvironmentVariable]?
}

/// Who called: from the kernel, not from the message (SO_PEERCRED, unix(7)).
package struct Caller: Hashable, Sendable {
  package let pid: Int32
  package let uid: UInt32
  package let gid: UInt32
  /// Supplementary groups (SO_PEERGROUPS).
  package let groups: [UInt32]

  package init(pid: Int32, uid: UInt32, gid: UInt32, groups: [UInt32]) {
    self.pid = pid
    self.uid = uid
    self.gid = gid
    self.groups = groups
  }
}
