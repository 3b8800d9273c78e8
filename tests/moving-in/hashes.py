"""What the systems store for passwords: by the real packages, or by the steps that their source takes."""

import base64
import hashlib
import json
import os
import struct
import subprocess

import argon2
import bcrypt
import passlib.hash
import werkzeug.security

# Fifty of them. None is short enough to be weak for one system and not for another.
PASSWORDS = [f"made up sentence {n}: grüne Laterne" for n in range(50)]


def b64(raw):
    return base64.b64encode(raw).decode()


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def each(hash_one):
    return [hash_one(password) for password in PASSWORDS]


def django(_folder):
    from django.conf import settings

    settings.configure(PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"])
    from django.contrib.auth.hashers import make_password

    return each(make_password)


def werkzeug_scrypt(_folder):
    return each(werkzeug.security.generate_password_hash)


def better_auth(folder):
    return by_node(folder, 'const { hashPassword } = await import("better-auth/crypto"); const hash = hashPassword;')


def bcryptjs(folder):
    return by_node(folder, 'const bcrypt = (await import("bcryptjs")).default; const hash = (password) => bcrypt.hash(password, 10);')


def by_node(folder, words):
    rest = "const out = []; for (const one of JSON.parse(process.argv[2])) out.push(await hash(one)); console.log(JSON.stringify(out));"
    with open(f"{folder}/hash.mjs", "w") as file:
        file.write(words + rest)
    return json.loads(run("node", "hash.mjs", json.dumps(PASSWORDS), cwd=folder))


def by_php(expression):
    words = f"echo json_encode(array_map(fn($p) => {expression}, json_decode($argv[1])));"
    return json.loads(run("php", "-r", words, json.dumps(PASSWORDS)))


def laravel(_folder):
    return by_php("password_hash($p, PASSWORD_BCRYPT, ['cost' => 12])")


def wordpress(_folder):
    # wp_hash_password of 6.8.
    inner = "base64_encode(hash_hmac('sha384', trim($p), 'wp-sha384', true))"
    return by_php(f"'$wp' . password_hash({inner}, PASSWORD_BCRYPT)")


def nextcloud(_folder):
    return by_php("'3|' . password_hash($p, PASSWORD_ARGON2ID)")


def devise(pepper):
    words = """
        require "bcrypt"; require "active_support/core_ext/object/blank"; require "devise/encryptor"; require "json"
        of = Struct.new(:pepper, :stretches).new(ARGV[0], 12)
        puts JSON.generate(JSON.parse(ARGV[1]).map { |password| Devise::Encryptor.digest(of, password) })
    """
    return lambda _folder: json.loads(run("ruby", "-e", words, pepper, json.dumps(PASSWORDS)))


def bcrypt_2a(cost):
    return lambda _folder: each(lambda password: bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost, b"2a")).decode())


def spring(folder):
    return ["{bcrypt}" + hash for hash in bcrypt_2a(10)(folder)]


def asp_net(_folder):
    def one(password):
        salt = os.urandom(16)
        raw = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 100_000, 32)
        return b64(struct.pack(">BIII", 1, 2, 100_000, 16) + salt + raw)

    return each(one)


def keycloak(_folder):
    parameters = {"hashLength": ["32"], "memory": ["7168"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"]}

    def one(password):
        salt = os.urandom(16)
        raw = argon2.low_level.hash_secret_raw(password.encode(), salt, 5, 7168, 1, 32, argon2.Type.ID)
        secret = {"value": b64(raw), "salt": b64(salt), "additionalParameters": {}}
        data = {"hashIterations": 5, "algorithm": "argon2", "additionalParameters": parameters}
        return json.dumps([json.dumps(secret), json.dumps(data)])

    return each(one)


def kratos(_folder):
    return each(argon2.PasswordHasher(time_cost=3, memory_cost=131072, parallelism=1).hash)


def passlib_pbkdf2(_folder):
    return each(passlib.hash.pbkdf2_sha256.hash)


def argon2_cffi(_folder):
    return each(argon2.PasswordHasher().hash)


def slappasswd(_folder):
    command = ["slappasswd", "-n", "-o", "module-load=pw-sha2", "-h", "{SSHA512}", "-T", "/dev/stdin"]
    return each(lambda password: run(*command, input=password))
