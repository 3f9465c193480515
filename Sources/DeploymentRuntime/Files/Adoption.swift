package import Deployment
internal import Glibc
package import JSON
package import LinuxSystem
package import Vocabulary

/// The record of an in-place tree that became a release: enough to put it back. `deploys/adoption.json`, from before
/// anything is changed until it is undone.
package struct Adoption: Hashable, Sendable {
  /// Where the tree was, and the link to `current` is.
  package var tree: String
  package var release: ReleaseID
  /// The operation, in whose directory the owners lie.
  package var operation: OperationID
  package var shared: [String]
  /// In the tree and in no release.
  package var excluded: [String]
  /// Those of `shared` that were in the tree.
  package var moved: [String]
  package var user: UInt32
  /// Whose the service's directory was.
  package var directoryUser: UInt32
  package var directoryGroup: UInt32
  /// Who must be able to read it, if that is known.
  package var service: Identity?
  /// A person wants the tree back.
  package var isUndoing = false

  package static func path(_ layout: Layout) -> String { "\(layout.deploys)/adoption.json" }
  package static func owners(_ layout: Layout, _ operation: OperationID) -> String {
    "\(layout.operation(operation))/owners"
  }

  /// What no manifest of it has, anchored at the top.
  package var outside: Set<TreePath> { Set((shared + excluded).compactMap { TreePath($0) }) }

  /// nil where nothing was adopted.
  package static func read(_ layout: Layout) throws(StepFailure) -> Adoption? {
    let path = path(layout)
    guard access(path, F_OK) == 0 else { return nil }
    do {
      return try Adoption(json: try JSON(text: try readFile(path, limit: 1 << 20), limits: .reply))
    } catch {
      throw StepFailure(.refused, "the record of the adoption \(path) cannot be read: \(error)")
    }
  }

  package func write(_ layout: Layout, _ files: DurableFiles) throws(StepFailure) {
    try asFailure { () throws(SystemError) in
      try files.write(Array((json.text + "\n").utf8), to: Self.path(layout), mode: 0o640)
    }
  }
}

extension Adoption: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    tree = try fields.required("tree")
    release = try fields.required("release")
    operation = try fields.required("operation")
    shared = try fields.required("shared")
    excluded = try fields.required("excluded")
    moved = try fields.required("moved")
    let (user, group, own): (Int64, Int64, Int64) = (
      try fields.required("directoryUser"), try fields.required("directoryGroup"), try fields.required("user")
    )
    (directoryUser, directoryGroup) = (UInt32(clamping: user), UInt32(clamping: group))
    self.user = UInt32(clamping: own)
    if let user: Int64 = try fields.optional("serviceUser") {
      let groups = (try fields.optional("serviceGroups") ?? [String]()).compactMap { UInt32($0) }
      service = Identity(user: UInt32(clamping: user), group: groups.first ?? ~0, groups: groups)
    }
    isUndoing = try fields.optional("undoing") ?? false
  }

  package var json: JSON {
    var members: JSON.Members = ["tree": .string(tree), "release": release.json, "operation": operation.json]
    members.append("shared", shared)
    members.append("excluded", excluded)
    members.append("moved", moved)
    members.append("user", Int64(user))
    members.append("directoryUser", Int64(directoryUser))
    members.append("directoryGroup", Int64(directoryGroup))
    if let service {
      members.append("serviceUser", Int64(service.user))
      members.append("serviceGroups", ([service.group] + service.groups).map { "\($0)" })
    }
    if isUndoing { members.append("undoing", true) }
    return .object(members)
  }
}
