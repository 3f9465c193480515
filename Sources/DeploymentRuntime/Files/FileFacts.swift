internal import CLinux
internal import Glibc
package import LinuxSystem

/// What the kernel says of one name; links are not followed. Source: statx(2).
package struct FileFacts: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case file, directory, link, socket, pipe, characterDevice, blockDevice

    /// As a person calls it.
    package var noun: String {
      switch self {
      case .file: "file"
      case .directory: "directory"
      case .link: "symbolic link"
      case .socket: "socket"
      case .pipe: "named pipe"
      case .characterDevice, .blockDevice: "device"
      }
    }
  }

  /// Which file it is, whatever it is called.
  package struct Identity: Hashable, Sendable {
    package let device: UInt64
    package let inode: UInt64
  }

  package let kind: Kind
  /// Permissions with setuid, setgid and sticky: 07777.
  package let mode: UInt32
  package let size: UInt64
  /// What it takes on the disk.
  package let storedBytes: UInt64
  package let user: UInt32
  package let group: UInt32
  package let links: UInt32
  package let identity: Identity
  /// The mount it is seen through; 0 where the kernel does not say.
  package let mount: UInt64
  /// Nanoseconds since 1970.
  package let modified: Int64

  /// On the same file system and seen through the same mount: hard links and renames between the two are possible.
  ///
  /// Below one mount the device of a directory tells (a subvolume of btrfs has one of its own); that of a file does not:
  /// overlayfs gives files those of its layers, and would seem to be full of mounts.
  package func sharesMount(with other: FileFacts) -> Bool {
    guard mount == other.mount else { return false }
    return identity.device == other.identity.device || (mount != 0 && (kind != .directory || other.kind != .directory))
  }

  /// - Throws: also where there is nothing: ENOENT.
  package static func of(_ path: String) throws(SystemError) -> FileFacts {
    var raw = cl_file_facts()
    try retrying("look at", path) { cl_look(AT_FDCWD, path, &raw) }
    return FileFacts(raw)
  }

  /// nil where there is nothing of that name.
  package static func ifPresent(_ path: String) throws(SystemError) -> FileFacts? {
    do { return try of(path) } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
  }

  static func of(_ file: Descriptor, _ subject: String) throws(SystemError) -> FileFacts {
    var raw = cl_file_facts()
    try retrying("look at", subject) { cl_look(file.raw, "", &raw) }
    return FileFacts(raw)
  }

  init(_ raw: cl_file_facts) {
    kind =
      switch raw.mode & UInt32(S_IFMT) {
      case UInt32(S_IFDIR): .directory
      case UInt32(S_IFLNK): .link
      case UInt32(S_IFSOCK): .socket
      case UInt32(S_IFIFO): .pipe
      case UInt32(S_IFCHR): .characterDevice
      case UInt32(S_IFBLK): .blockDevice
      default: .file
      }
    mode = raw.mode & 0o7777
    size = raw.size
    storedBytes = raw.blocks_512 &* 512
    user = raw.user
    group = raw.group
    links = raw.links
    identity = Identity(device: raw.device, inode: raw.inode)
    mount = raw.mount
    modified = raw.modified_seconds &* 1_000_000_000 &+ Int64(raw.modified_nanoseconds)
  }
}

/// The target of a symbolic link, any bytes. Source: readlink(2).
package func readLink(_ path: String) throws(SystemError) -> [UInt8] {
  try readLink(at: AT_FDCWD, path, path)
}

func readLink(at directory: Int32, _ name: UnsafePointer<CChar>, _ subject: @autoclosure () -> String)
  throws(SystemError) -> [UInt8]
{
  var buffer = [UInt8](repeating: 0, count: 4_097)
  let count = try retrying("read the link", subject()) {
    buffer.withUnsafeMutableBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { chars in
        chars.baseAddress.map { readlinkat(directory, name, $0, chars.count) } ?? 0
      }
    }
  }
  return Array(buffer.prefix(count))
}
