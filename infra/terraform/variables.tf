variable "environment" {
  description = "Name of the environment: the folder below gitops/environments, and a part of every resource's name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.environment))
    error_message = "environment: 3 to 20 lower-case letters, digits and hyphens (bucket and role names are made of it)."
  }
}

variable "owner" {
  description = "Who answers for these resources: a team or a mail address. Tag `owner` on everything."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9 ._@+-]{2,100}$", var.owner))
    error_message = "owner: 2 to 100 letters, digits and . _ @ + - (what AWS allows in a tag)."
  }
}

variable "commit" {
  description = "Last commit that changed the configuration or these values. Tag `commit` on everything."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{40}(-dirty)?$", var.commit))
    error_message = "commit: a full SHA, with -dirty where the files are not what it holds."
  }
}

variable "region" {
  description = "AWS region that everything is made in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: as AWS writes it, for example eu-central-1."
  }
}

variable "account_id" {
  description = "AWS account that everything is made in; the provider refuses every other."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id: twelve digits."
  }
}

variable "state" {
  description = "BUCKET/KEY of this root's own state: what a role that only reads needs."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.state == "" || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^*?]+$", var.state))
    error_message = "state: BUCKET/KEY, without wildcards."
  }
}

variable "emulated" {
  description = <<-EOT
    True where moto's server stands in for AWS. Leaves out what its 5.2 has no API for: access entries, pod identity
    associations and add-ons of EKS, detailed monitoring of the bastion. And what it accepts and answers differently,
    so that every plan would show a change: access and update configuration of EKS, parameters and Performance
    Insights of the database, descriptions of rules.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "protected" {
  description = <<-EOT
    True where data must survive a mistake: deletion protection and a final snapshot of the database, bucket and
    registry that are not deleted while they hold something, and a lock on each that fails every plan which destroys
    or replaces it. Two steps to get rid of such an environment: see docs/infrastructure.md.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "vpc_cidr" {
  description = "Addresses of the VPC."
  type        = string
  default     = "10.0.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0))
    error_message = "vpc_cidr: an IPv4 range such as 10.0.0.0/16."
  }
}

variable "subnets" {
  description = "Availability zone → its public and its private range. The cluster and the database need two zones or more."
  type        = map(object({ public = string, private = string }))
  nullable    = false

  validation {
    condition     = length(var.subnets) >= 2
    error_message = "subnets: at least two availability zones."
  }
  validation {
    condition     = alltrue([for zone in keys(var.subnets) : startswith(zone, var.region)])
    error_message = "subnets: every zone must be one of the region, for example eu-central-1a."
  }
  validation {
    condition     = alltrue(flatten([for one in values(var.subnets) : [can(cidrhost(one.public, 0)), can(cidrhost(one.private, 0))]]))
    error_message = "subnets: IPv4 ranges such as 10.0.1.0/24."
  }
}

variable "nat_per_zone" {
  description = "True: a NAT gateway in every zone. False: one for all, cheaper, and without it no zone reaches the internet."
  type        = bool
  default     = true
  nullable    = false
}

variable "ssh_public_key" {
  description = <<-EOT
    Public half of a key made by `infra.ssh-key`, for SSH inside a Session Manager session; "" for none. No port is
    opened for it, and no private key is ever in the state.
  EOT
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.ssh_public_key == "" || can(regex("^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]+( .*)?$", var.ssh_public_key))
    error_message = "ssh_public_key: one line of an OpenSSH public key (ssh-ed25519 or ssh-rsa), never a private one."
  }
}

variable "bastion_instance_type" {
  description = "Instance type of the bastion; its image is built for arm64."
  type        = string
  default     = "t4g.nano"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+[0-9]+g[a-z]*\\.", var.bastion_instance_type))
    error_message = "bastion_instance_type: a Graviton type such as t4g.nano."
  }
}

variable "cluster" {
  description = <<-EOT
    The EKS cluster. version: of Kubernetes. public_cidrs: ranges that reach its API from the internet, none by default
    (then runners and people come through the VPC). administrators: ARNs of roles that may do everything in it.
    addons: name → version, "" for the one that EKS suggests for the cluster's version.
  EOT
  type = object({
    version        = optional(string, "1.34")
    public_cidrs   = optional(list(string), [])
    administrators = optional(list(string), [])
    addons = optional(map(string), {
      coredns                = ""
      eks-pod-identity-agent = ""
      kube-proxy             = ""
      metrics-server         = ""
      vpc-cni                = ""
    })
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.cluster.version))
    error_message = "cluster.version: a minor version of Kubernetes such as 1.34."
  }
  validation {
    condition     = alltrue([for range in var.cluster.public_cidrs : can(cidrhost(range, 0)) && try(tonumber(split("/", range)[1]) >= 16, false)])
    error_message = "cluster.public_cidrs: ranges of /16 or smaller; the API is never open to the whole internet."
  }
  validation {
    condition     = alltrue([for arn in var.cluster.administrators : can(regex("^arn:aws:iam::[0-9]{12}:role/", arn))])
    error_message = "cluster.administrators: ARNs of IAM roles."
  }
  validation {
    condition     = var.emulated || length(var.cluster.administrators) > 0
    error_message = "cluster.administrators: at least one role, or nobody could change what is in the cluster."
  }
}

variable "nodes" {
  description = <<-EOT
    Worker nodes in two groups, on-demand and Spot. spot_share: part of the nodes on Spot. minimum, desired, maximum:
    nodes of both groups together; each is split so that the share holds within 5 points, else the plan is refused.
    on_demand_types, spot_types: instance types, for Spot several, so that one pool running dry takes not all.
  EOT
  type = object({
    spot_share      = optional(number, 0.65)
    minimum         = optional(number, 3)
    desired         = optional(number, 3)
    maximum         = optional(number, 9)
    on_demand_types = optional(list(string), ["t3.small"])
    spot_types      = optional(list(string), ["t3.small", "t3a.small", "t3.medium", "t3a.medium"])
    disk_gib        = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.nodes.spot_share >= 0 && var.nodes.spot_share <= 0.9
    error_message = "nodes.spot_share: from 0 to 0.9; something has to be left when Spot capacity runs out."
  }
  validation {
    condition     = var.nodes.minimum >= 2 && var.nodes.minimum <= var.nodes.desired && var.nodes.desired <= var.nodes.maximum
    error_message = "nodes: 2 <= minimum <= desired <= maximum."
  }
  validation {
    condition     = length(var.nodes.on_demand_types) >= 1 && length(distinct(var.nodes.spot_types)) >= 3
    error_message = "nodes: one on-demand type or more, and three Spot types or more."
  }
}

variable "database" {
  description = <<-EOT
    The PostgreSQL database. version: major.minor. multi_az: a standby in a second zone. storage_gib, storage_max_gib:
    at first, and how far it grows by itself. backup_days: how long a point in time can be gone back to.
  EOT
  type = object({
    version         = optional(string, "17.6")
    instance_class  = optional(string, "db.t4g.micro")
    multi_az        = optional(bool, true)
    storage_gib     = optional(number, 20)
    storage_max_gib = optional(number, 100)
    backup_days     = optional(number, 14)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.database.backup_days >= 1 && var.database.backup_days <= 35
    error_message = "database.backup_days: 1 to 35 (what RDS keeps)."
  }
  validation {
    condition     = var.database.storage_gib >= 20 && var.database.storage_max_gib > var.database.storage_gib
    error_message = "database: storage_gib at least 20, storage_max_gib more than that."
  }
}

variable "registry" {
  description = <<-EOT
    The image repository. name: what environment.yaml calls it. create: one environment makes it, the one that lasts
    longest; the others name its account_id ("" for their own account). pull_accounts: other accounts whose clusters
    run images of it. push_roles: ARNs of roles of other accounts that push. disposable_days: when an image whose tags all
    begin with try- is deleted; nothing else ever is.
  EOT
  type = object({
    name            = optional(string, "slipway-service")
    create          = optional(bool, true)
    account_id      = optional(string, "")
    pull_accounts   = optional(list(string), [])
    push_roles      = optional(list(string), [])
    disposable_days = optional(number, 14)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for id in concat(var.registry.pull_accounts, compact([var.registry.account_id])) : can(regex("^[0-9]{12}$", id))])
    error_message = "registry: an account is twelve digits."
  }
  validation {
    condition     = var.registry.disposable_days >= 1
    error_message = "registry.disposable_days: at least 1."
  }
}

variable "gitlab" {
  description = <<-EOT
    Who may take the environment's role, without any stored key. host: of GitLab. project: its path. branch: the
    protected one that is deployed from. claims: what else GitLab puts into the token's `sub` after the branch, in that
    order (docs/infrastructure.md says how to switch it on). create_provider: false where another environment of the
    same account made the OIDC provider. policy_arns: what the role may do beside looking and pushing images.
    merge_requests: makes a second role for the plans of merge requests, which every branch of the project may take and
    which reads settings and this root's state, no other data.
  EOT
  type = object({
    host            = optional(string, "gitlab.com")
    project         = string
    branch          = optional(string, "main")
    claims          = optional(list(string), [])
    create_provider = optional(bool, true)
    policy_arns     = optional(list(string), [])
    merge_requests  = optional(bool, false)
  })
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9.-]+(:[0-9]+)?$", var.gitlab.host))
    error_message = "gitlab.host: a host name, without https://."
  }
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$", var.gitlab.project))
    error_message = "gitlab.project: the full path, for example team/slipway; no wildcard."
  }
  validation {
    condition     = alltrue([for part in concat([var.gitlab.branch], var.gitlab.claims) : length(part) > 0 && !can(regex("[*?]", part))])
    error_message = "gitlab.branch, gitlab.claims: exact values, no wildcard."
  }
  validation {
    condition     = !var.gitlab.merge_requests || var.state != ""
    error_message = "gitlab.merge_requests: needs the variable state, or their plans could not read it."
  }
}

variable "log_days" {
  description = "Days that logs of the cluster, the network and the database are kept; a number that CloudWatch knows."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_days)
    error_message = "log_days: one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731."
  }
}
