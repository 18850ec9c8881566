terraform {
  required_version = ">= 1.3"

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 4.0"
    }
  }
}

variable "issuer" {
  type        = string
  description = "The identity provider's URL, from Repository settings, OpenID Connect."

  validation {
    condition     = can(regex("^https://[\\w.-]+(/[\\w.-]+)*$", var.issuer))
    error_message = "Must match ^https://[\\w.-]+(/[\\w.-]+)*$."
  }
}

variable "audience" {
  type        = string
  description = "The audience, from the same page."

  validation {
    condition     = can(regex("^[\\w:/.-]+$", var.audience))
    error_message = "Must match ^[\\w:/.-]+$."
  }
}

variable "repository_uuid" {
  type        = string
  description = "The repository's uuid with its braces, from the same page."

  validation {
    condition     = can(regex("^\\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\}$", var.repository_uuid))
    error_message = "Must match ^\\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\}$."
  }
}

variable "environment_uuid" {
  type        = string
  description = "The uuid with its braces of the one deployment environment whose steps are let in; without it, all steps are."
  default     = ""

  validation {
    condition     = can(regex("^(\\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\})?$", var.environment_uuid))
    error_message = "Must match ^(\\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\})?$."
  }
}

variable "role_name" {
  type        = string
  description = "VAULT_ROLE, and the policy's name."
  default     = "keyturn"

  validation {
    condition     = can(regex("^[\\w.-]+$", var.role_name))
    error_message = "Must match ^[\\w.-]+$."
  }
}

variable "jwt_path" {
  type        = string
  description = "VAULT_AUTH_PATH, which nothing may be mounted at yet."
  default     = "jwt"

  validation {
    condition     = can(regex("^[\\w/.-]+$", var.jwt_path))
    error_message = "Must match ^[\\w/.-]+$."
  }
}

variable "mount" {
  type        = string
  description = "Where the secrets' engine, KV version 2, is mounted."
  default     = "secret"

  validation {
    condition     = can(regex("^[\\w.-]+$", var.mount))
    error_message = "Must match ^[\\w.-]+$."
  }
}

variable "folder" {
  type        = string
  description = "The folder of the secrets, such as ci for secret/ci/** *."
  default     = "ci"

  validation {
    condition     = can(regex("^[\\w/.-]+$", var.folder))
    error_message = "Must match ^[\\w/.-]+$."
  }
}

variable "scan" {
  type        = bool
  description = "Whether the server is OpenBao, which tells a whole tree at once."
  default     = true
}

resource "vault_jwt_auth_backend" "bitbucket" {
  path               = var.jwt_path
  description        = "The steps of Bitbucket Pipelines."
  oidc_discovery_url = var.issuer
  bound_issuer       = var.issuer
}

locals {
  claims = {
    repositoryUuid            = var.repository_uuid
    deploymentEnvironmentUuid = var.environment_uuid
  }
}

locals {
  scanning = <<-END
    path "${var.mount}/data/${var.folder}/*" { capabilities = ["read"] }
    path "${var.mount}/detailed-metadata/${var.folder}/*" { capabilities = ["scan"] }
  END
  usual    = <<-END
    path "${var.mount}/data/${var.folder}/*" { capabilities = ["read"] }
    path "${var.mount}/metadata/${var.folder}/*" { capabilities = ["read", "list"] }
  END
}

resource "vault_jwt_auth_backend_role" "keyturn" {
  backend         = vault_jwt_auth_backend.bitbucket.path
  role_name       = var.role_name
  role_type       = "jwt"
  bound_audiences = [var.audience]
  bound_claims    = { for claim, uuid in local.claims : claim => uuid if uuid != "" }
  user_claim      = "repositoryUuid"
  token_policies  = [vault_policy.keyturn.name]
  token_ttl       = 900
  token_max_ttl   = 900
}

resource "vault_policy" "keyturn" {
  name   = var.role_name
  policy = var.scan ? local.scanning : local.usual
}
