# Written by hand. Tests hold every statement against pipe/permissions.py, which the pipe's own policies are made from.

terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
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
  description = "The role's name."
  default     = "keyturn"

  validation {
    condition     = can(regex("^[\\w+=,.@-]+$", var.role_name))
    error_message = "Must match ^[\\w+=,.@-]+$."
  }
}

variable "make_provider" {
  type        = bool
  description = "Whether to make the identity provider; false where the account has one for this workspace."
  default     = true
}

variable "user_name" {
  type        = string
  description = "IAM_USER_NAME, without a path."
  default     = ""

  validation {
    condition     = can(regex("^([\\w+=,.@-]+)?$", var.user_name))
    error_message = "Must match ^([\\w+=,.@-]+)?$."
  }
}

variable "secret_name" {
  type        = string
  description = "SECRET_ID as a name; without it, none."
  default     = ""

  validation {
    condition     = can(regex("^([\\w/+=.@-]+)?$", var.secret_name))
    error_message = "Must match ^([\\w/+=.@-]+)?$."
  }
}

variable "make_secret" {
  type        = bool
  description = "Whether to make that secret, empty and with a key of its own in KMS; else the first run makes it."
  default     = true
}

variable "pull_folder" {
  type        = string
  description = "What their names have before a slash, such as ci for ci/** *."
  default     = ""

  validation {
    condition     = can(regex("^([\\w/+=.@-]+)?$", var.pull_folder))
    error_message = "Must match ^([\\w/+=.@-]+)?$."
  }
}

variable "replica_prefix" {
  type        = string
  description = "AWS_SECRET_PREFIX."
  default     = ""

  validation {
    condition     = can(regex("^([\\w/+=.@-]+)?$", var.replica_prefix))
    error_message = "Must match ^([\\w/+=.@-]+)?$."
  }
}

variable "prune" {
  type        = bool
  description = "Whether PRUNE may delete replicas."
  default     = false
}

variable "topic_arn" {
  type        = string
  description = "SNS_TOPIC_ARN, for notices."
  default     = ""

  validation {
    condition     = can(regex("^(arn:[\\w-]+:sns:[\\w:.-]+)?$", var.topic_arn))
    error_message = "Must match ^(arn:[\\w-]+:sns:[\\w:.-]+)?$."
  }
}

variable "key_arn" {
  type        = string
  description = "The KMS key of what is pulled or replicated, if it is one of your own."
  default     = ""

  validation {
    condition     = can(regex("^(arn:[\\w-]+:kms:[\\w-]+:\\d+:key/[\\w-]+)?$", var.key_arn))
    error_message = "Must match ^(arn:[\\w-]+:kms:[\\w-]+:\\d+:key/[\\w-]+)?$."
  }
}

variable "ca_certificate" {
  type        = string
  description = "The authority's certificate as PEM."
  default     = ""

  validation {
    condition     = can(regex("^(-----BEGIN CERTIFICATE-----[\\w+/=\\s-]+)?$", var.ca_certificate))
    error_message = "Must match ^(-----BEGIN CERTIFICATE-----[\\w+/=\\s-]+)?$."
  }
}

variable "common_name" {
  type        = string
  description = "The common name (CN) of the one certificate that is let in."
  default     = ""

  validation {
    condition     = can(regex("^([\\w .@:-]+)?$", var.common_name))
    error_message = "Must match ^([\\w .@:-]+)?$."
  }
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.region
  provider  = split("://", var.issuer)[1]
  subject   = var.environment_uuid != "" ? "${var.repository_uuid}:${var.environment_uuid}:*" : "${var.repository_uuid}:*"
  roles     = concat([aws_iam_role.keyturn.name], aws_iam_role.anywhere[*].name)
}

resource "aws_iam_openid_connect_provider" "bitbucket" {
  count          = var.make_provider ? 1 : 0
  url            = var.issuer
  client_id_list = [var.audience]
}

resource "aws_iam_role" "keyturn" {
  name        = var.role_name
  description = "For the steps of one repository of Bitbucket, as Keyturn uses it."
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Federated = "arn:${local.partition}:iam::${local.account}:oidc-provider/${local.provider}"
        }
        Action = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.provider}:aud" = var.audience
          }
          StringLike = {
            "${local.provider}:sub" = local.subject
          }
        }
      },
    ]
  })
}

resource "aws_kms_key" "secret" {
  count               = var.secret_name != "" && var.make_secret ? 1 : 0
  description         = "Encrypts the secret ${var.secret_name} of Keyturn."
  enable_key_rotation = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          AWS = "arn:${local.partition}:iam::${local.account}:root"
        }
        Action   = "kms:*"
        Resource = "*"
      },
    ]
  })
}

resource "aws_secretsmanager_secret" "keyturn" {
  count       = var.secret_name != "" && var.make_secret ? 1 : 0
  name        = var.secret_name
  description = "Keyturn keeps an access key here, and how far its rotation has come."
  kms_key_id  = aws_kms_key.secret[0].arn
}

resource "aws_rolesanywhere_trust_anchor" "keyturn" {
  count   = var.ca_certificate != "" && var.common_name != "" ? 1 : 0
  name    = "${var.role_name}-anywhere"
  enabled = true

  source {
    source_type = "CERTIFICATE_BUNDLE"

    source_data {
      x509_certificate_data = var.ca_certificate
    }
  }
}

resource "aws_iam_role" "anywhere" {
  count       = var.ca_certificate != "" && var.common_name != "" ? 1 : 0
  name        = "${var.role_name}-anywhere"
  description = "For the holders of one certificate, by IAM Roles Anywhere, as Keyturn uses it."
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Service = "rolesanywhere.amazonaws.com"
        }
        Action = [
          "sts:AssumeRole",
          "sts:TagSession",
          "sts:SetSourceIdentity",
        ]
        Condition = {
          StringEquals = {
            "aws:PrincipalTag/x509Subject/CN" = var.common_name
          }
          ArnEquals = {
            "aws:SourceArn" = aws_rolesanywhere_trust_anchor.keyturn[0].arn
          }
        }
      },
    ]
  })
}

resource "aws_rolesanywhere_profile" "keyturn" {
  count     = var.ca_certificate != "" && var.common_name != "" ? 1 : 0
  name      = "${var.role_name}-anywhere"
  enabled   = true
  role_arns = [aws_iam_role.anywhere[0].arn]
}

resource "aws_iam_role_policy" "rotate" {
  for_each = toset(var.user_name != "" ? local.roles : [])
  role     = each.value
  name     = "rotate"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "iam:ListAccessKeys",
          "iam:CreateAccessKey",
          "iam:UpdateAccessKey",
          "iam:DeleteAccessKey",
          "iam:GetAccessKeyLastUsed",
        ]
        Resource = [
          "arn:${local.partition}:iam::${local.account}:user/${var.user_name}",
          "arn:${local.partition}:iam::${local.account}:user/*/${var.user_name}",
        ]
      },
    ]
  })
}

resource "aws_iam_role_policy" "rotate_secret" {
  for_each = toset(var.user_name != "" && var.secret_name != "" ? local.roles : [])
  role     = each.value
  name     = "rotate-secret"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "secretsmanager:CreateSecret",
          "secretsmanager:DescribeSecret",
          "secretsmanager:ListSecretVersionIds",
          "secretsmanager:GetSecretValue",
          "secretsmanager:PutSecretValue",
          "secretsmanager:UpdateSecretVersionStage",
        ]
        Resource = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.secret_name}-??????"
      },
    ]
  })
}

resource "aws_iam_role_policy" "secret_key" {
  for_each = toset(var.secret_name != "" && var.make_secret ? local.roles : [])
  role     = each.value
  name     = "secret-key"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "kms:Decrypt",
          "kms:GenerateDataKey",
        ]
        Resource = aws_kms_key.secret[0].arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "secretsmanager.${local.region}.amazonaws.com*"
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "pull" {
  for_each = toset(var.pull_folder != "" ? local.roles : [])
  role     = each.value
  name     = "pull"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "secretsmanager:ListSecrets",
          "secretsmanager:BatchGetSecretValue",
        ]
        Resource = "*"
      },
      {
        Effect = "Allow"
        Action = [
          "secretsmanager:GetSecretValue",
          "secretsmanager:DescribeSecret",
        ]
        Resource = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.pull_folder}/*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "replicate" {
  for_each = toset(var.replica_prefix != "" ? local.roles : [])
  role     = each.value
  name     = "replicate"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "secretsmanager:ListSecrets"
        Resource = "*"
      },
      {
        Effect = "Allow"
        Action = [
          "secretsmanager:CreateSecret",
          "secretsmanager:DescribeSecret",
          "secretsmanager:PutSecretValue",
          "secretsmanager:UpdateSecretVersionStage",
          "secretsmanager:TagResource",
          "secretsmanager:RestoreSecret",
        ]
        Resource = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.replica_prefix}*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "prune" {
  for_each = toset(var.replica_prefix != "" && var.prune ? local.roles : [])
  role     = each.value
  name     = "prune"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "secretsmanager:DeleteSecret"
        Resource = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.replica_prefix}*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "notice" {
  for_each = toset(var.topic_arn != "" ? local.roles : [])
  role     = each.value
  name     = "notice"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = var.topic_arn
      },
    ]
  })
}

resource "aws_iam_role_policy" "key" {
  for_each = toset(var.key_arn != "" ? local.roles : [])
  role     = each.value
  name     = "key"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "kms:Decrypt",
          "kms:GenerateDataKey",
        ]
        Resource = var.key_arn
        Condition = {
          StringLike = {
            "kms:ViaService" = "secretsmanager.${local.region}.amazonaws.com*"
          }
        }
      },
    ]
  })
}

output "role_arn" {
  description = "AWS_OIDC_ROLE_ARN."
  value       = aws_iam_role.keyturn.arn
}

output "trust_anchor_arn" {
  description = "AWS_ROLESANYWHERE_TRUST_ANCHOR_ARN."
  value       = one(aws_rolesanywhere_trust_anchor.keyturn[*].arn)
}

output "profile_arn" {
  description = "AWS_ROLESANYWHERE_PROFILE_ARN."
  value       = one(aws_rolesanywhere_profile.keyturn[*].arn)
}

output "anywhere_role_arn" {
  description = "AWS_ROLESANYWHERE_ROLE_ARN."
  value       = one(aws_iam_role.anywhere[*].arn)
}
