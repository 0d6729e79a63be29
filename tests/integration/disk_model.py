# SPDX-License-Identifier: ISC
"""What a power cut may leave: a small model of a file system, fed with the system calls that strace saw.

Every folder and file has two states, in memory and on the disk; fsync makes the second the first. A cut keeps of each folder either its entries in
memory or those on the disk, and of each file the data that were synced, or any beginning of the others: no order between different ones is promised.
"""
import ast
import os
import re
import shutil

CALLS = "openat,mkdirat,linkat,write,fsync,fdatasync,fchmod,fchown,renameat,renameat2,symlinkat,unlinkat"
LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
FD = r"(?:AT_FDCWD|\d+)<([^>]*)>"


class Node:
    """entries: name -> Node of a folder; data: bytes of a file; target: of a link."""

    def __init__(self, mode, entries=None, data=None, target=None):
        self.mode, self.entries, self.data, self.target = mode, entries, data, target
        self.disk = dict(entries) if entries is not None else data

    def sync(self):
        self.disk = dict(self.entries) if self.entries is not None else self.data


def text(quoted):
    return ast.literal_eval("b" + quoted).decode("latin1")


class Disk:
    def __init__(self, root):
        self.root, self.top = str(root), self._read(str(root))

    def _read(self, path):
        st = os.lstat(path)
        if os.path.islink(path):
            return Node(0o777, target=os.readlink(path))
        if os.path.isdir(path):
            return Node(st.st_mode & 0o7777, entries={name: self._read(path + "/" + name) for name in os.listdir(path)})
        with open(path, "rb") as f:
            return Node(st.st_mode & 0o7777, data=f.read())

    def find(self, path):
        node = self.top
        for name in path[len(self.root):].split("/"):
            if name:
                node = node.entries[name]
        return node

    def apply(self, line):
        """One line of strace -y. True when it changed something."""
        m = LINE.match(line)
        if not m or int(m.group(3)) < 0:
            return False
        call, args = m.group(1), m.group(2)
        paths = [p for p in re.findall(FD, args) if p == self.root or p.startswith(self.root + "/")]
        if not paths:
            return False
        strings = [text(s) for s in re.findall(r'"(?:[^"\\]|\\.)*"', args)]
        folder = self.find(paths[0])
        if call == "openat" and "O_CREAT" in args:
            folder.entries.setdefault(strings[0], Node(0o600, data=b""))
        elif call == "mkdirat":
            folder.entries[strings[0]] = Node(0o700, entries={})
        elif call == "write":
            folder.data += strings[0].encode("latin1")
        elif call in ("fsync", "fdatasync"):
            folder.sync()
        elif call == "fchmod":
            folder.mode = int(args.split(",")[1].strip(), 8)
        elif call == "symlinkat":
            folder.entries[strings[1]] = Node(0o777, target=strings[0])
        elif call == "linkat":
            self.find(paths[-1]).entries[strings[1]] = folder.entries[strings[0]]
        elif call in ("renameat", "renameat2"):
            self.find(paths[-1]).entries[strings[1]] = folder.entries.pop(strings[0])
        elif call == "unlinkat":
            del folder.entries[strings[0]]
        else:
            return False
        return True

    def cut(self, choose):
        """What is left, as {path: (mode, data or target or None)}. choose(n) gives a number below n: 0 always means what the disk promises, 1 what was
        in memory."""
        left = {}
        self._collect(self.top, "", choose, left)
        return left

    def _collect(self, node, path, choose, left):
        for name, child in sorted((node.entries if choose(2) else node.disk).items()):
            at = path + "/" + name
            if child.entries is not None:
                left[at] = (child.mode, None)
                self._collect(child, at, choose, left)
            elif child.target is not None:
                left[at] = (None, child.target)
            elif child.disk == child.data:
                left[at] = (child.mode, child.data)
            else:
                left[at] = (child.mode, (child.disk, child.data, child.data[:len(child.data) // 2], b"\0" * len(child.data))[choose(4)])


def write_tree(root, left):
    """Makes a folder hold what a cut left, and nothing else."""
    for name in os.listdir(root):
        shutil.rmtree(os.path.join(root, name))
    folders = []
    for path, (mode, data) in left.items():
        at = str(root) + path
        if data is None:
            os.mkdir(at)
            folders.append((at, mode))
        elif mode is None:
            os.symlink(data, at)
        else:
            with open(at, "wb") as f:
                f.write(data)
            os.chmod(at, mode)
    for at, mode in reversed(folders):
        os.chmod(at, mode)
